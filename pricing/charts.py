"""The charts of prices and rates. They carry money as decimal strings, so that what is drawn is what the table says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from html import escape
from typing import Any, NamedTuple

import plotly.graph_objects as go

from pricing.figures import quoted, quoted_for
from pricing.rates.base import Rate
from tenants.frame.charts import GRID, INK, OTHER, SERIES, Chart, frame_of
from wire import display
from wire.money import decimal_from_pico
from wire.units import UNITS


class Line(NamedTuple):
    """The price of a unit over days: each day on which it changed with the price from then on, in pico-USD."""

    unit: str
    label: str
    number: int  # of its colour
    steps: Sequence[tuple[date, int | None]]


class Bar(NamedTuple):
    """What one model costs in a month, in pico-USD."""

    name: str
    amount: int
    cheapest: bool


def price_chart(lines: Sequence[Line], *, last: date) -> Chart:
    """Steps: a price holds until the day of the next one. `last` is where the newest ends."""
    traces = []
    for line in lines:
        times, _ = quoted_for(line.unit)
        days = [*(day for day, _ in line.steps), last]
        prices = [*(price for _, price in line.steps), line.steps[-1][1]]
        traces.append(
            go.Scatter(
                name=escape(line.label),
                x=[day.isoformat() for day in days],
                y=[None if each is None else f"{decimal_from_pico(each * times):f}" for each in prices],
                customdata=["no price" if each is None else quoted(line.unit, each) for each in prices],
                hovertemplate="%{customdata}",
                mode="lines",
                line={"shape": "hv", "width": 2.5, "color": SERIES[line.number - 1][0]},
                connectgaps=False,
            )
        )
    first = min(line.steps[0][0] for line in lines)
    _, per = quoted_for(lines[0].unit)
    figure = go.Figure(data=traces)
    figure.update_layout(
        frame_of(
            hovermode="x unified",
            xaxis=_days(first, last),
            yaxis={"type": "linear", "tickprefix": "$", "rangemode": "tozero"},
        )
    )
    moves = sum(len(line.steps) - 1 for line in lines)
    says = (
        f"Price for {per}, {display.days(first, last)}: {display.counted(moves, 'change')} of "
        f"{' and '.join(line.label for line in lines)}. The table shows the same values."
    )
    return Chart(json.loads(figure.to_json()), says)


def cost_chart(bars: Sequence[Bar]) -> Chart:
    """One bar a model, the cheapest on top, marked by its colour and by a word in the table."""
    figure = go.Figure(
        data=[
            go.Bar(
                orientation="h",
                y=[escape(each.name) for each in bars],
                x=[f"{decimal_from_pico(each.amount):f}" for each in bars],
                text=[display.usd(each.amount) for each in bars],
                textposition="outside",
                cliponaxis=False,
                textfont={"color": INK[0], "size": 12},
                hovertemplate="%{text} a month<extra></extra>",
                marker={"color": [SERIES[0][0] if each.cheapest else OTHER[0] for each in bars], "line": {"width": 0}},
            )
        ]
    )
    top = max((each.amount for each in bars), default=0)
    figure.update_layout(
        frame_of(
            bargap=0.4,
            hovermode="closest",
            margin={"l": 8, "r": 24, "t": 8, "b": 8},
            xaxis={
                "type": "linear",
                "tickprefix": "$",
                "tickformat": ",~f",
                "showgrid": True,
                "gridcolor": GRID[0],
                "zeroline": False,
                "range": [0, f"{decimal_from_pico(top * 27 // 20 or 1):f}"],
                "nticks": 5,
            },
            yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "ticklabelstandoff": 6},
        )
    )
    cheapest = next((each for each in bars if each.cheapest), None)
    says = f"Monthly cost of {display.counted(len(bars), 'model')}. "
    if cheapest is not None:
        says += f"{cheapest.name} is the cheapest at {display.usd(cheapest.amount)}. "
    return Chart(json.loads(figure.to_json()), says + "The table shows the same values.")


def rate_chart(rates: Sequence[Rate]) -> Chart:
    """A line over the days on which rates were published."""
    currency = rates[0].currency
    figure = go.Figure(
        data=[
            go.Scatter(
                name=currency,
                x=[rate.day.isoformat() for rate in rates],
                y=[f"{rate.per_usd:f}" for rate in rates],
                hovertemplate=f"%{{y}} {currency}<extra></extra>",
                mode="lines",
                line={"width": 2, "color": SERIES[0][0]},
            )
        ]
    )
    figure.update_layout(
        frame_of(hovermode="x unified", xaxis=_days(rates[0].day, rates[-1].day), yaxis={"type": "linear"})
    )
    low, high = min(rates, key=lambda rate: rate.per_usd_e8), max(rates, key=lambda rate: rate.per_usd_e8)
    says = (
        f"{currency} for one US dollar, {display.days(rates[0].day, rates[-1].day)}: "
        f"from {low.per_usd.normalize():f} on {display.day(low.day)} "
        f"to {high.per_usd.normalize():f} on {display.day(high.day)}. "
        "The table shows the same values."
    )
    return Chart(json.loads(figure.to_json()), says)


def line_of(unit: str, number: int, steps: Sequence[tuple[date, int | None]]) -> Line:
    """A line with the name that people know its unit by."""
    return Line(unit, UNITS[unit].label if unit in UNITS else unit, number, steps)


def _days(first: date, last: date) -> dict[str, Any]:
    margin = max((last - first) // 60, timedelta(days=1))
    short = (last - first).days < 200
    return {
        "type": "date",
        "range": [(first - margin).isoformat(), (last + margin).isoformat()],
        "tickformat": "%-d %b" if short else "%b %Y",
        "hoverformat": "%-d %b %Y",
        "nticks": 7,
    }
