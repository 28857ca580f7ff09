"""The chart of daily spend; see `tenants.frame.charts` for what all charts share.

Bars carry money as decimal strings, so that what is drawn is exactly what the table says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from html import escape

import plotly.graph_objects as go

from spend.stack import Series, Stack
from tenants.frame.charts import BAND, GRID, INK, OTHER, PACE, SERIES, SURFACE, TEXT, Chart
from wire import display

OPEN_DAY = "/"  # the hatching of a day that is not over


@dataclass(frozen=True)
class Beside:
    """What is drawn as lines beside the bars, USD by day. Empty: it is not drawn.

    `forecast` are the days after today; `band` what has been spent by their end, low, middle and high, for the running
    total. `pace` are the days of a limit's period; `before` the days that these are compared with, by their place.
    """

    forecast: Sequence[tuple[date, Decimal]] = ()
    band: Sequence[tuple[Decimal, Decimal, Decimal]] = ()
    pace: Sequence[tuple[date, Decimal]] = ()
    before: Sequence[tuple[date, Decimal]] = ()

    def of_pace(self, *, cumulative: bool) -> list[Decimal]:
        """The pace as it is drawn."""
        values = [value for _, value in self.pace]
        return _running(values) if cumulative else values

    def of_before(self, *, cumulative: bool) -> list[Decimal]:
        """The compared days as they are drawn."""
        values = [value for _, value in self.before]
        return _running(values) if cumulative else values


def daily_chart(
    spend: Stack, *, today: date, axis_last: date, cumulative: bool = False, beside: Beside | None = None
) -> Chart:
    """Stacked bars, a bar a day. The day that is still open is hatched."""
    beside = beside or Beside()
    hatching = [OPEN_DAY if day == today else "" for day in spend.days]
    bars = [_bars(spend, each, hatching, cumulative=cumulative) for each in spend.series]
    lines = _lines(beside, spend, cumulative=cumulative)
    figure = go.Figure(data=[*bars, *lines])
    tops = [*(_running(spend.day_totals) if cumulative else spend.day_totals), *beside.of_pace(cumulative=cumulative)]
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
            "tickformat": tick_format(max(tops, default=Decimal(0))),
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


def _lines(beside: Beside, spend: Stack, *, cumulative: bool) -> list[go.Scatter]:
    lines = []
    if beside.before:
        # under the days that they are held against
        days = [spend.days[0] + timedelta(days=number) for number in range(len(beside.before))]
        names = [
            f"{display.usd(each)} ({display.day(day, year=False)})"
            for (day, _), each in zip(beside.before, beside.of_before(cumulative=cumulative), strict=True)
        ]
        lines.append(_line("Compared", days, beside.of_before(cumulative=cumulative), OTHER[0], "solid", names))
    if beside.pace:
        days, values = [day for day, _ in beside.pace], beside.of_pace(cumulative=cumulative)
        lines.append(_line("Budget pace", days, values, PACE[0], "dot"))
    if beside.forecast and cumulative:
        days = [day for day, _ in beside.forecast]
        low, mid, high = ([each[place] for each in beside.band] for place in range(3))
        edge = _line("80 % range, to", days, high, "rgba(0,0,0,0)", "solid")
        lines.append(edge)
        floor = _line("80 % range, from", days, low, "rgba(0,0,0,0)", "solid")
        floor.update(fill="tonexty", fillcolor=BAND[0])
        lines += [floor, _line("Forecast", days, mid, INK[0], "dash")]
    elif beside.forecast:
        days, values = [day for day, _ in beside.forecast], [value for _, value in beside.forecast]
        lines.append(_line("Forecast", days, values, INK[0], "dash"))
    return lines


def _line(
    name: str, days: Sequence[date], values: Sequence[Decimal], colour: str, dash: str, said: Sequence[str] = ()
) -> go.Scatter:
    return go.Scatter(
        name=name,
        x=[day.isoformat() for day in days],
        y=[f"{value:f}" for value in values],
        customdata=list(said) or [display.usd(value) for value in values],
        hovertemplate="%{customdata}",
        mode="lines" if len(values) > 1 else "markers",
        line={"width": 2, "dash": dash, "color": colour},
        marker={"color": colour},
    )


def _running(values: list[Decimal]) -> list[Decimal]:
    return Series("", 0, values).cumulative()


def tick_format(top: Decimal) -> str:
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
