"""A view's answer as the page shows it: words for values, digits for amounts, and the way on from each of them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.urls import reverse

from spend.comparison import compare_amounts
from spend.exploring.chart import chart_of, named_bucket
from spend.exploring.filters import pairs_of, query_string
from spend.exploring.measures import MEASURES, Kind, Value, exact_words, together, tokens_of, words_of
from spend.exploring.result import Explored, Row, value_of
from spend.exploring.view import Drawn, View
from spend.exploring.words import Words
from spend.periods import Period
from spend.queries.dimensions import in_words, label_of
from spend.queries.slices import OTHER, Cell
from wire import display
from wire.display import counted, days

_COLUMNS = ("charge", "requests", "tokens", "per_million", "error_rate")  # of the table, beside the measure
_OF_DENIALS = ("project", "key", "env")  # dimensions that the list of refused calls can be narrowed to
_SWITCHES = {Drawn.BARS: "Bars", Drawn.LINES: "Lines", Drawn.TABLE: "Table"}


def shown(found: Explored, words: Words, zone: str) -> dict[str, Any]:
    """All that the page's part that changes says."""
    view = found.view
    if view.by:
        words.learn(view.by, [*(row.value for row in found.page), *(each.value for each in found.series)])
        words.learn(view.by, (each.groups[0] for each in found.movers))
    if view.then:
        words.learn(view.then, found.columns)
    said: dict[str, Any] = {
        "found": found,
        "measure": found.measure,
        "nothing": not found.total.requests and not found.total.charge and not found.total.cost,
        "by_label": label_of(view.by) if view.by else "",
        "by_words": in_words(view.by) if view.by else "",
        "then_words": in_words(view.then) if view.then else "",
        "legend": [(_named(view, words, each.value), each.number) for each in found.series],
        "switches": [
            {"label": label, "query": view.query(drawn=drawn), "current": view.drawn is drawn}
            for drawn, label in _SWITCHES.items()
        ],
        "figures": _figures(found),
        "against": f"{days(*found.compared.closed)} against {days(*found.compared.days)}" if found.compared else "",
        "requests_query": requests_query(view, found.period),
    }
    if said["nothing"]:
        return said
    drawn = _bucket_table(found, zone) if view.drawn is Drawn.TABLE else {"chart": chart_of(found, words, zone)}
    return said | drawn | _groups(found, words) | {"movers": _movers(found, words)}


def _named(view: View, words: Words, value: str) -> str:
    return words.of(view.by, value) if view.by else "Everything"


def _figures(found: Explored) -> list[dict[str, Any]]:
    """The four figures: what is measured, then what is usual."""
    total = found.total
    names = list(dict.fromkeys([found.view.measure, "charge", "requests", "per_million", "error_rate"]))[:4]
    notes = {
        "charge": found.period.days,
        "requests": f"{words_of(Kind.COUNT, tokens_of(total))} tokens"
        + (f", {counted(total.unpriced_requests, 'unpriced', 'unpriced')}" if total.unpriced_requests else ""),
        "per_million": "unpriced tokens count as $0"
        if total.unpriced_requests
        else f"{words_of(Kind.MONEY, MEASURES['per_request'].of(total))} a request",
        "error_rate": f"{words_of(Kind.COUNT, total.errors)} of {counted(total.requests, 'request')}",
    }
    compared = found.compared
    return [
        {
            "name": name,
            "label": MEASURES[name].label,
            "value": words_of(MEASURES[name].kind, MEASURES[name].of(total)),
            "exact": exact_words(MEASURES[name].kind, MEASURES[name].of(total)),
            "note": notes.get(name, found.period.days),
            "comparison": compared
            and compare_amounts(
                MEASURES[name].of(compared.now),
                MEASURES[name].of(compared.before),
                partial(words_of, MEASURES[name].kind),
                compared.days,
            ),
        }
        for name in names
    ]


def _bucket_table(found: Explored, zone: str) -> dict[str, Any]:
    """The same values as the chart's, the newest bucket first."""
    measure = found.measure
    before: list[Cell | None] = [*found.compared.buckets] if found.compared else []
    before += [None] * (len(found.buckets) - len(before))
    rows = []
    for at, (begin, total) in enumerate(zip(found.buckets, found.totals, strict=True)):
        cells_of = [each.cells[at] for each in found.series]
        rows.append(
            {
                "bucket": named_bucket(begin, zone),
                "open": begin == found.period.today if not isinstance(begin, datetime) else False,
                "total": exact_words(measure.kind, measure.of(total)),
                "values": [exact_words(measure.kind, measure.of(cell)) for cell in cells_of],
                "before": _exact_or_none(found, before[at]),
            }
        )
    return {
        "table": rows[::-1],
        "table_total": exact_words(measure.kind, measure.of(found.total)),
        "table_totals": [
            exact_words(measure.kind, measure.of(together(each.cells, found.period.first))) for each in found.series
        ],
        "table_before": _exact_or_none(found, found.compared.before if found.compared else None),
    }


def _exact_or_none(found: Explored, cell: Cell | None) -> str:
    return exact_words(found.measure.kind, found.measure.of(cell)) if cell is not None else "–"


def _groups(found: Explored, words: Words) -> dict[str, Any]:
    """The table of groups: its heads, with the way to sort by them, and the rows of this page."""
    view = found.view
    measured = [view.measure] if view.then else list(dict.fromkeys([view.measure, *_COLUMNS]))
    against = ["before", "change", "change_share"] if found.compared else []
    names = (
        [*measured[:1], "share", *against, *measured[1:]]
        if found.measure.adds
        else [*measured[:1], *against, *measured[1:]]
    )
    colours = {each.value: each.number for each in found.series}
    here = reverse("spend:explore")
    return {
        "heads": [_head(view, name) for name in ("name", *names)],
        "columns": [words.of(view.then, value) for value in found.columns],
        "rows": [_row(found, words, row, names, colours) for row in found.page],
        "total_row": _total_row(found, names),
        "total_columns": [_among(found, found.measure.of(_column_total(found, value))) for value in found.columns],
        "shown_rows": f"{len(found.page):,} of {counted(len(found.rows), 'group')}",
        "next_url": f"{here}?{view.query(page=view.page + 1)}" if view.page < found.pages else "",
        "first_url": f"{here}?{view.query(page=view.page - 1)}" if view.page > 1 else "",
    }


def _column_total(found: Explored, value: str) -> Cell:
    return together((row.pivot[value] for row in found.rows if value in row.pivot), found.period.first)


def _total_row(found: Explored, names: list[str]) -> list[dict[str, str]]:
    compared = found.compared
    whole = Row("", found.total, compared.now if compared else None, compared.before if compared else None, {})
    return [_cell(found, whole, name) for name in names]


def _head(view: View, name: str) -> dict[str, Any]:
    labels = {
        "name": label_of(view.by) if view.by else "",
        "share": "Share",
        "before": "Before",
        "change": "Change",
        "change_share": "Change %",
    }
    current = name == (view.sort or view.measure)
    ascending = not view.ascending if current else name == "name"
    return {
        "label": labels[name] if name in labels else MEASURES[name].label,
        "numeric": name != "name",
        "sorted": ("ascending" if view.ascending else "descending") if current else "",
        "query": view.query(sort=name, ascending=ascending),
    }


def _row(found: Explored, words: Words, row: Row, names: list[str], colours: dict[str, int]) -> dict[str, Any]:
    view, period = found.view, found.period
    here, listed = reverse("spend:explore"), reverse("spend:requests")
    own = view.narrowed_to(view.by, row.value) if view.by else view
    return {
        "name": _named(view, words, row.value),
        "number": colours.get(row.value, 0),
        "cells": [_cell(found, row, name) for name in names],
        "pivot": [_pivot_cell(found, row, own, period, value, listed) for value in found.columns],
        "url": f"{here}?{own.query()}" if view.by else "",
        "requests_url": f"{listed}?{requests_query(own, period)}" if row.cell.requests else "",
        "denials_url": _denials_url(own, period),
    }


def _cell(found: Explored, row: Row, name: str) -> dict[str, str]:
    """A figure of the table, with every digit as its title."""
    value = value_of(row, name, found.total, found.measure)
    kind = _kind(found, name)
    if value is None:
        unpriced = name in ("charge", "cost") and row.cell.unpriced_requests
        new = name == "change_share" and row.now and not row.before
        return {"text": "unpriced" if unpriced else "new" if new else "–", "exact": "", "direction": ""}
    amount = Decimal(value)
    changes = name in ("change", "change_share")
    sums = kind is Kind.MONEY and (changes or name == "before" or MEASURES[name].adds)
    text = display.usd_among(amount, _largest(found, name)) if sums else words_of(kind, value)
    return {
        "text": f"+{text}" if changes and amount > 0 else text,
        "exact": exact_words(kind, value),
        "direction": ("up" if amount > 0 else "down" if amount < 0 else "") if changes else "",
    }


def _kind(found: Explored, name: str) -> Kind:
    if name in ("share", "change_share"):
        return Kind.SHARE
    return MEASURES[name].kind if name in MEASURES else found.measure.kind


def _largest(found: Explored, name: str) -> Decimal:
    """What a column of money is written among."""
    measure = MEASURES.get(name, found.measure)
    return Decimal(measure.of(found.total) or 0)


def _pivot_cell(found: Explored, row: Row, own: View, period: Period, value: str, listed: str) -> dict[str, str]:
    cell = row.pivot.get(value)
    if cell is None:
        return {"text": "–", "exact": "", "url": ""}
    measure, then = found.measure, found.view.then
    url = "" if value == OTHER else f"{listed}?{requests_query(own.narrowed_to(then, value), period)}"
    return {
        "text": _among(found, measure.of(cell)),
        "exact": exact_words(measure.kind, measure.of(cell)),
        "url": url,
    }


def _among(found: Explored, value: Value) -> str:
    """A value of the measure beside others of it."""
    if value is None or found.measure.kind is not Kind.MONEY or not found.measure.adds:
        return words_of(found.measure.kind, value)
    return display.usd_among(Decimal(value), _largest(found, found.measure.name))


def requests_query(view: View, period: Period) -> str:
    """The address's query of the requests that a view is made of."""
    custom = [("first", period.first.isoformat()), ("last", period.last.isoformat())]
    zone = [("zone", view.zone)] if view.zone else []
    return query_string([("period", "custom"), *custom, *zone, *pairs_of(view.only, view.without)])


def _denials_url(view: View, period: Period) -> str:
    """Where the refused calls of a group are listed; "" when they do not know what it is narrowed by."""
    chosen = {name: held[0] for name, held in view.only.items() if len(held) == 1 and held[0]}
    if view.without or not chosen or not chosen.keys() <= set(_OF_DENIALS) or len(chosen) != len(view.only):
        return ""
    if view.zone:
        return ""
    pairs = [("period", "custom"), ("first", period.first.isoformat()), ("last", period.last.isoformat())]
    return f"{reverse('spend:denials')}?{query_string([*pairs, *chosen.items()])}"


def _movers(found: Explored, words: Words) -> dict[str, Any] | None:
    if found.compared is None or not found.view.by:
        return None
    here, view = reverse("spend:explore"), found.view
    largest = max((abs(each.change) for each in found.movers), default=Decimal(0))
    return {
        "rows": [
            {
                "name": words.of(view.by, each.groups[0]),
                "url": f"{here}?{view.narrowed_to(view.by, each.groups[0]).query()}",
                "change": display.usd_among(each.change, largest),
                "exact": each.change,
                "direction": "up" if each.change > 0 else "down",
                "share": each.share,
                "kind": each.kind,
                "before": display.usd_among(each.before, largest),
                "now": display.usd_among(each.now, largest),
            }
            for each in found.movers
        ],
    }
