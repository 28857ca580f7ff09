"""The chart of a view; see `tenants.frame.charts` for what all charts share.

Bars and lines carry amounts as decimal strings, so that what is drawn is exactly what the table says.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import plotly.graph_objects as go

from spend.charts import OPEN_DAY, tick_format
from spend.exploring.measures import Kind, Value, plain, words_of
from spend.exploring.result import Begin, Explored, Series
from spend.exploring.view import Drawn
from spend.exploring.words import Words
from tenants.frame.charts import GRID, INK, OTHER, SERIES, SURFACE, TEXT, Chart, frame_of
from wire import display

_HALF_A_DAY = timedelta(hours=12)
_HOURS_LABELLED_TO = 60  # buckets: beyond, only days are labelled
_AXES: dict[Kind, dict[str, Any]] = {
    Kind.COUNT: {"tickformat": "~s"},
    Kind.SHARE: {"tickformat": ".0%"},
    Kind.TIME: {"ticksuffix": " ms", "tickformat": ",.0f"},
}


def named_bucket(begin: Begin, zone: str) -> str:
    """A bucket for reading: a day, or the hour that begins, with its zone, for an hour may come twice."""
    if isinstance(begin, datetime):
        return display.moment_to_the_minute(begin, zone, year=True)
    return display.day(begin)


def chart_of(found: Explored, words: Words, zone: str) -> Chart:
    """Bars on one another where the measure adds up, lines where it does not, or where they are asked for."""
    as_bars = found.measure.adds and found.view.drawn is Drawn.BARS
    by_hour = bool(found.buckets) and isinstance(found.buckets[0], datetime)
    x = [named_bucket(each, zone) if by_hour else str(each) for each in found.buckets]
    hatching = [OPEN_DAY if each == found.period.today else "" for each in found.buckets]
    drawn = [_drawn(found, each, _name(found, words, each), x, hatching, as_bars=as_bars) for each in found.series]
    before = _before(found, x)
    figure = go.Figure(data=[*drawn, *before])
    layout = frame_of(
        xaxis=_hours(found, x, zone) if by_hour else _days(found),
        yaxis={"type": "linear", "rangemode": "tozero", **_axis(found, stacked=as_bars)},
        hovermode="x unified",
        hoverlabel={"bgcolor": SURFACE[0], "bordercolor": GRID[0], "font": {"color": INK[0], "size": 12}},
    )
    figure.update_layout(**layout, **({"barmode": "relative", "bargap": 0.28} if as_bars else {}))
    return Chart(json.loads(figure.to_json()), _in_words(found))


def _name(found: Explored, words: Words, series: Series) -> str:
    return words.of(found.view.by, series.value) if found.view.by else found.measure.label


def _drawn(
    found: Explored, series: Series, name: str, x: list[str], hatching: list[str], *, as_bars: bool
) -> go.Bar | go.Scatter:
    values = [found.measure.of(cell) for cell in series.cells]
    colour = SERIES[series.number - 1][0] if series.number else OTHER[0]
    said: dict[str, Any] = {
        "name": escape(name),
        "x": x,
        "y": [plain(value) for value in values],
        "customdata": [words_of(found.measure.kind, value) for value in values],
        "hovertemplate": "%{customdata}",
    }
    if not as_bars:
        return go.Scatter(
            **said, mode="lines+markers" if len(x) < 45 else "lines", line={"color": colour, "width": 2},
            marker={"color": colour, "size": 5},
        )  # fmt: skip
    pattern = {"shape": hatching, "fillmode": "replace", "size": 6, "solidity": 0.45}
    return go.Bar(**said, marker={"color": colour, "line": {"width": 0}, "pattern": pattern})


def _before(found: Explored, x: list[str]) -> list[go.Scatter]:
    """The days before as a dashed line, each over the bucket of its place."""
    if found.compared is None:
        return []
    cells = found.compared.buckets[: len(x)]
    values = [found.measure.of(cell) for cell in cells]
    return [
        go.Scatter(
            name="Before",
            x=x[: len(cells)],
            y=[plain(value) for value in values],
            customdata=[words_of(found.measure.kind, value) for value in values],
            hovertemplate="%{customdata}",
            mode="lines",
            line={"color": TEXT[0], "width": 1.5, "dash": "dash"},
        )
    ]


def _days(found: Explored) -> dict[str, Any]:
    first = found.period.first
    last = max(found.period.last, first + timedelta(days=6))
    return {
        "type": "date",
        "range": [f"{first - timedelta(days=1)} {_HALF_A_DAY}", f"{last} {_HALF_A_DAY}"],
        "tickformat": "%-d %b",
        "hoverformat": "%a %-d %b %Y",
        "nticks": 6,  # as many as stand side by side on a phone
    }


def _hours(found: Explored, x: list[str], zone: str) -> dict[str, Any]:
    """Hours are names and not times: where clocks are set back an hour comes twice, and both are there."""
    local = [each.astimezone(ZoneInfo(zone)) for each in found.buckets if isinstance(each, datetime)]
    midnights = [at for at, each in enumerate(local) if at == 0 or each.date() != local[at - 1].date()]
    every = max(1, -(-len(midnights) // 9))
    marked = {at: display.day(local[at].date()).rsplit(" ", 1)[0] for at in midnights[::every]}
    if len(x) <= _HOURS_LABELLED_TO:
        marked |= {at: f"{each:%H:%M}" for at, each in enumerate(local) if at not in marked and not each.hour % 6}
    return {
        "type": "category",
        "tickmode": "array",
        "tickvals": [x[at] for at in sorted(marked)],
        "ticktext": [marked[at] for at in sorted(marked)],
        "tickangle": 0,
    }


def _axis(found: Explored, *, stacked: bool) -> dict[str, Any]:
    if found.measure.kind is not Kind.MONEY:
        return _AXES[found.measure.kind]
    values: list[Value] = (
        [found.measure.of(cell) for cell in found.totals]
        if stacked
        else [found.measure.of(cell) for each in found.series for cell in each.cells]
    )
    top = max((Decimal(value) for value in values if value is not None), default=Decimal(0))
    return {"tickprefix": "$", "tickformat": tick_format(top)}


def _in_words(found: Explored) -> str:
    total = words_of(found.measure.kind, found.measure.of(found.total))
    groups = display.counted(len(found.rows), "group")
    first, last = found.period.first, found.period.last
    today: date = found.period.today
    still_open = f" {display.day(today)} is still open." if first <= today <= last else ""
    against = " The dashed line is the days before." if found.compared else ""
    return (
        f"{found.measure.label}, {display.days(first, last)}: {total} in {groups}.{still_open}{against}"
        " The table shows the same values."
    )
