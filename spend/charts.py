"""Charts as Plotly figures in JSON, drawn by static/js/chart.js, in the light colours; `DARK` has the dark ones.

Bars carry money as decimal strings, so that what is drawn is exactly what the table says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from html import escape
from typing import Any

import plotly.graph_objects as go

from spend.stack import Series, Stack
from wire import display

# (light, dark), in the order of the groups; the same as --so-series-1 … in static/css/tokens.css.
SERIES = (
    ("#3b7dd8", "#6ba3ef"),
    ("#8a63c9", "#ab8ae3"),
    ("#c65c94", "#e286b6"),
    ("#8d8f3c", "#b5b75f"),
    ("#9b6f52", "#c79a7b"),
    ("#8db4ea", "#3f6aa6"),
    ("#c3abe6", "#6d549b"),
)
OTHER = ("#8a97a3", "#75838f")
TEXT = ("#52616d", "#9dadb8")
GRID = ("#e4e9ec", "#232e36")
SURFACE = ("#ffffff", "#141c22")
INK = ("#16212a", "#e5ebef")
DARK = dict((*SERIES, OTHER, TEXT, GRID, SURFACE, INK))

OPEN_DAY = "/"  # the hatching of a day that is not over


@dataclass(frozen=True)
class Chart:
    """What a page needs: the figure, its colours in the dark theme, and what it shows in words."""

    figure: dict[str, Any]
    says: str

    @property
    def payload(self) -> dict[str, Any]:
        return {"figure": self.figure, "dark": DARK}


def daily_chart(spend: Stack, *, today: date, axis_last: date, cumulative: bool = False) -> Chart:
    """Stacked bars, a bar a day. The day that is still open is hatched."""
    hatching = [OPEN_DAY if day == today else "" for day in spend.days]
    figure = go.Figure(data=[_bars(spend, each, hatching, cumulative=cumulative) for each in spend.series])
    tops = _running(spend.day_totals) if cumulative else spend.day_totals
    half_a_day = timedelta(hours=12)
    figure.update_layout(
        template=None,
        barmode="relative",
        bargap=0.28,
        showlegend=False,
        hovermode="x unified",
        dragmode=False,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        font={"family": "Inter, system-ui, sans-serif", "size": 12, "color": TEXT[0]},
        hoverlabel={"bgcolor": SURFACE[0], "bordercolor": GRID[0], "font": {"color": INK[0], "size": 12}},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={
            "type": "date",
            "range": [
                f"{spend.days[0] - timedelta(days=1)} {half_a_day}",
                f"{max(axis_last, spend.days[0] + timedelta(days=6))} {half_a_day}",
            ],
            "tickformat": "%-d %b",
            "hoverformat": "%a %-d %b %Y",
            "showgrid": False,
            "fixedrange": True,
            "automargin": True,
            "ticks": "",
            "ticklabelstandoff": 4,
            "nticks": 9,
        },
        yaxis={
            "type": "linear",
            "tickprefix": "$",
            "tickformat": _tick_format(max(tops, default=Decimal(0))),
            "rangemode": "tozero",
            "gridcolor": GRID[0],
            "zerolinecolor": GRID[0],
            "fixedrange": True,
            "automargin": True,
            "nticks": 5,
        },
    )
    return Chart(json.loads(figure.to_json()), _in_words(spend, today=today, cumulative=cumulative))


def _bars(spend: Stack, series: Series, hatching: list[str], *, cumulative: bool) -> go.Bar:
    values = series.cumulative() if cumulative else series.values
    colour = SERIES[series.number - 1][0] if series.number else OTHER[0]
    return go.Bar(
        name=escape(series.name),
        x=[day.isoformat() for day in spend.days],
        y=[f"{value:f}" for value in values],
        customdata=[display.usd(value) for value in values],
        hovertemplate="%{customdata}",
        marker={
            "color": colour,
            "line": {"width": 0},
            "pattern": {"shape": hatching, "fillmode": "replace", "size": 6, "solidity": 0.45},
        },
    )


def _running(values: list[Decimal]) -> list[Decimal]:
    return Series("", 0, values).cumulative()


def _tick_format(top: Decimal) -> str:
    """As many places as the axis needs: none for tens, cents for dollars, more for fractions of a cent."""
    if top >= 10 or top <= 0:
        return ",.0f"
    return f",.{max(2, 1 - top.adjusted())}f"


def _in_words(spend: Stack, *, today: date, cumulative: bool) -> str:
    kind = "Running total of spend" if cumulative else "Spend by day"
    still_open = f" {display.day(today)} is still open." if today in spend.days else ""
    return (
        f"{kind}, {display.days(spend.days[0], spend.days[-1])}: {display.usd(spend.total.charge)} in "
        f"{display.counted(len(spend.groups), 'group')}.{still_open} The table shows the same values."
    )
