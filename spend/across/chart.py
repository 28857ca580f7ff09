"""The chart of the largest tenants; see `tenants.frame.charts` for what all charts share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from html import escape

import plotly.graph_objects as go

from spend.across.rows import TenantRow
from spend.charts import tick_format
from tenants.frame.charts import GRID, SERIES, Chart, frame_of
from wire import display

MOST = 10
_NAME_MOST = 28


def largest_chart(rows: Sequence[TenantRow]) -> Chart:
    """Bars, the largest on top: charge, and the cost within it. Amounts are decimal strings, exactly the table's."""
    names = [_short(row, place) for place, row in enumerate(rows, 1)]
    figure = go.Figure(
        data=[
            _bars("Charge", names, [row.now.charge for row in rows], SERIES[0][0]),
            _bars("Cost", names, [row.now.cost for row in rows], SERIES[4][0]),
        ]
    )
    top = max((max(row.now.charge, row.now.cost) for row in rows), default=Decimal(0))
    layout = frame_of(
        xaxis={
            "type": "linear",
            "tickprefix": "$",
            "tickformat": tick_format(top),
            "rangemode": "tozero",
            "nticks": 5,
            "showgrid": True,
            "gridcolor": GRID[0],
            "zerolinecolor": GRID[0],
        },
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "nticks": MOST, "ticklabelstandoff": 6},
        barmode="group",
        bargap=0.3,
        bargroupgap=0.08,
        hovermode="y unified",
    )
    figure.update_layout(**layout)
    said = "; ".join(f"{row.name} {display.usd(row.now.charge)}" for row in rows)
    return Chart(
        json.loads(figure.to_json()),
        f"The {display.counted(len(rows), 'tenant')} with the largest charge, beside their cost: {said}. "
        "The table below has the same values.",
    )


def _bars(name: str, names: list[str], amounts: list[Decimal], colour: str) -> go.Bar:
    return go.Bar(
        name=name,
        orientation="h",
        y=names,
        x=[f"{amount:f}" for amount in amounts],
        customdata=[display.usd(amount) for amount in amounts],
        hovertemplate="%{customdata}",
        marker={"color": colour, "line": {"width": 0}},
    )


def _short(row: TenantRow, place: int) -> str:
    """A name that fits beside a bar. Numbered, as two that are cut would be one bar."""
    name = row.name if len(row.name) <= _NAME_MOST else row.name[: _NAME_MOST - 1].rstrip() + "…"
    return f"{place}. {escape(name)}"
