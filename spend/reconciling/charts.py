"""The chart of both sides by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from spend.charts import tick_format
from spend.periods import each_day
from spend.reconciling.queries import Compared
from tenants.frame.charts import OTHER, SERIES, Chart, frame_of
from wire import display


def by_day(rows: Sequence[Compared], first: date, last: date) -> list[tuple[date, Decimal, Decimal]]:
    """Each UTC day with what the provider says and what we counted."""
    found = {day: [Decimal(0), Decimal(0)] for day in each_day(first, last)}
    for row in rows:
        found[row.day][0] += row.theirs
        found[row.day][1] += row.ours
    return [(day, theirs, ours) for day, (theirs, ours) in found.items()]


def both_sides(days: Sequence[tuple[date, Decimal, Decimal]], provider: str) -> Chart:
    """Two bars a day, beside each other."""
    top = max((amount for _, *amounts in days for amount in amounts), default=Decimal(0))
    figure = {
        "data": [
            _bars("Counted here", OTHER[0], [(day, ours) for day, _, ours in days]),
            _bars(f"Invoice of {provider}", SERIES[0][0], [(day, theirs) for day, theirs, _ in days]),
        ],
        "layout": frame_of(
            xaxis={"type": "date", "tickformat": "%-d %b", "hoverformat": "%a %-d %b %Y", "nticks": 9},
            yaxis={"type": "linear", "tickprefix": "$", "tickformat": tick_format(top)},
            barmode="group",
            bargap=0.28,
            hovermode="x unified",
        ),
    }
    theirs = sum((amount for _, amount, _ in days), Decimal(0))
    ours = sum((amount for *_, amount in days), Decimal(0))
    says = (
        f"Invoice and own sums by UTC day, {display.days(days[0][0], days[-1][0])}: {display.usd(theirs)} invoiced, "
        f"{display.usd(ours)} counted here. The table shows the same values."
    )
    return Chart(figure, says)


def _bars(name: str, colour: str, values: Sequence[tuple[date, Decimal]]) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": name,
        "x": [day.isoformat() for day, _ in values],
        "y": [f"{value:f}" for _, value in values],
        "customdata": [display.usd(value) for _, value in values],
        "hovertemplate": "%{customdata}",
        "marker": {"color": colour, "line": {"width": 0}},
    }
