"""The days around an anomaly, beside what was to be expected of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta

import plotly.graph_objects as go

from spend.anomalies.queries import DayOfSeries
from tenants.frame.charts import OTHER, SERIES, TEXT, Chart, frame_of
from wire import display


def series_chart(days: Sequence[DayOfSeries], odd: date) -> Chart:
    """A bar a day, the odd one in a colour of its own; lines for the expected and the bound."""
    x = [each.day.isoformat() for each in days]
    bars = go.Bar(
        name="Spent",
        x=x,
        y=[f"{each.charge:f}" for each in days],
        customdata=[display.usd(each.charge) for each in days],
        hovertemplate="%{customdata}",
        marker={"color": [SERIES[0][0] if each.day == odd else OTHER[0] for each in days], "line": {"width": 0}},
    )
    lines = [
        _line("Expected", x, [each.expected for each in days], "solid"),
        _line("Odd above", x, [each.bound for each in days], "dot"),
    ]
    half_a_day = timedelta(hours=12)
    figure = go.Figure(data=[bars, *lines])
    figure.update_layout(
        frame_of(
            bargap=0.28,
            hovermode="x unified",
            xaxis={
                "type": "date",
                "range": [f"{days[0].day - timedelta(days=1)} {half_a_day}", f"{days[-1].day} {half_a_day}"],
                "tickformat": "%-d %b",
                "hoverformat": "%a %-d %b %Y",
                "nticks": 9,
            },
            yaxis={"type": "linear", "tickprefix": "$", "rangemode": "tozero"},
        )
    )
    last = days[-1]
    says = (
        f"Spend by day, {display.days(days[0].day, last.day)}: {display.usd(last.charge)} on the last"
        f"{'' if last.expected is None else f', of which {display.usd(last.expected)} were to be expected'}."
        " The table shows the same values."
    )
    return Chart(json.loads(figure.to_json()), says)


def _line(name: str, x: list[str], values: list[object], dash: str) -> go.Scatter:
    return go.Scatter(
        name=name,
        x=x,
        y=[None if value is None else f"{value:f}" for value in values],
        customdata=["not known" if value is None else display.usd(value) for value in values],  # type: ignore[arg-type]
        hovertemplate="%{customdata}",
        mode="lines",
        line={"shape": "hvh", "width": 1.5, "dash": dash, "color": TEXT[0]},
        connectgaps=False,
    )
