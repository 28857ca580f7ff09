"""Spend, usage and denials as JSON: the same slices as the Explore page's, by the same address."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeVar, cast

from django.core import signing
from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Query, Router, Schema

from spend.exploring.api_words import BY, FILTERS, PERIOD
from spend.exploring.filters import is_filter
from spend.exploring.measures import MEASURES, plain, together
from spend.exploring.view import View, read
from spend.periods import Period
from spend.queries.dimensions import dimension
from spend.queries.freshness import freshness
from spend.queries.movers import Mover, movers
from spend.queries.slices import Cell, Each, Slice, cells
from tenants.frame.days import day_of
from tenants.frame.operations import operation
from tenants.frame.problems import ApiProblem, Problem
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.permissions import Permission

spend = Router(tags=["Spend"])

BY_MOST = 6
ROWS_MOST = 1_000
ROWS_USUAL = 200
_SALT = "cursor spend"
# of the page alone: an address that was copied from it is taken as it is
_OF_THE_PAGE = frozenset({"chart", "page", "measure", "order", "saved"})
_KNOWN = frozenset({"by", "then", "period", "first", "last", "zone", "each", "compare", "sort", "limit", "cursor"})
_USD = "USD, twelve places, as a text: numbers of this size lose digits in some languages."
Answer = TypeVar("Answer")


class Sums(Schema):
    """What calls come to. Unpriced calls count as nothing in the money, and are counted."""

    requests: int = Field(examples=[1204])
    input_tokens: int = Field(examples=[250000])
    output_tokens: int = Field(examples=[64000])
    cached_tokens: int = Field(description="Of the input tokens, those read from a provider's cache.", examples=[1000])
    unpriced_requests: int = Field(examples=[0])
    unpriced_tokens: int = Field(examples=[0])
    errors: int = Field(examples=[3])
    duration_ms: int = Field(description="All calls together.", examples=[840000])
    cost_usd: str = Field(description=f"What providers charge. {_USD}", examples=["0.000041550000"])
    charge_usd: str = Field(description=f"What the tenant is charged. {_USD}", examples=["0.000041550000"])
    per_request_usd: str | None = Field(description="Of priced calls.", examples=["0.0000415500"])
    per_million_tokens_usd: str | None = Field(examples=["2.42"])
    error_rate: str | None = Field(description="1 is all.", examples=["0.0025"])


class SpendRow(Sums):
    """One bucket's group."""

    begin: date | datetime = Field(description="The day, or the hour's first moment; the first day when it is whole.")
    groups: dict[str, str] = Field(description="The dimensions asked for.", examples=[{"model": "gpt-4o-mini"}])
    before: Sums | None = Field(
        description="The same group on the compared days: with `compare`, when `each` is whole."
    )


class ComparedOut(Schema):
    """The days that are compared: those of the period that are over, and as many before them."""

    first: date
    last: date
    before_first: date
    before_last: date
    total: Sums = Field(description="Of the days that are over.")
    before: Sums


class SpendOut(Schema):
    """A slice of spend."""

    first: date
    last: date
    zone: str = Field(examples=["Asia/Kolkata"])
    each: Each
    by: list[str]
    complete_until: datetime | None = Field(description="Every call acknowledged until then is in it.")
    total: Sums
    compared: ComparedOut | None
    items: list[SpendRow]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


class MoverOut(Schema):
    """A group whose charge changed."""

    groups: dict[str, str] = Field(examples=[{"model": "gpt-4o-mini"}])
    before_usd: str = Field(description=_USD, examples=["1.000000000000"])
    now_usd: str = Field(description=_USD, examples=["3.000000000000"])
    change_usd: str = Field(description=_USD, examples=["2.000000000000"])
    change_share: str | None = Field(description="1 is as much again; null for what is new.", examples=["2"])
    kind: Literal["new", "gone", "up", "down"]


class MoversOut(Schema):
    """What moved spend."""

    first: date
    last: date
    before_first: date
    before_last: date
    zone: str
    by: list[str]
    complete_until: datetime | None
    items: list[MoverOut]


class Rows(Schema):
    """Which rows are asked for."""

    limit: int = Field(ROWS_USUAL, ge=1, le=ROWS_MOST, description="How many rows at most.")
    cursor: str = Field("", max_length=4_000, description="The `next` of the page before; without it the rows begin.")


class Asked(NamedTuple):
    """What a request of the API asks for, and what its caller may see."""

    tenant_id: str
    view: View
    by: list[str]
    period: Period
    zone: str
    keys: Collection[str] | None

    @property
    def slice(self) -> Slice:
        return self.view.slice_of(self.period, self.keys)


def asked_by(request: HttpRequest, *, known: Collection[str] = _KNOWN) -> Asked:
    """The view of an address. Raises ApiProblem for anything in it that cannot be taken or means nothing."""
    caller, query = cast(TenantRequest, request), request.GET
    unknown = sorted(name for name in query if name not in known and name not in _OF_THE_PAGE and not is_filter(name))
    errors = [(name, "This parameter does not exist.") for name in unknown]
    errors += [(name, said) for name in ("first", "last") for text in query.getlist(name) if (said := _no_day(text))]
    now, own = timezone.now(), caller.tenant.time_zone
    view, problems = read(query, lambda zone: View(zone=zone).today(now, own))
    by = [name for name in dict.fromkeys([*query.getlist("by"), query.get("then", "")]) if name]
    for name in by:
        try:
            dimension(name)
        except ValueError as error:
            errors.append(("by", str(error)))
    if len(by) > BY_MOST:
        errors.append(("by", f"Spend is grouped by at most {BY_MOST} dimensions."))
    errors += [(each.name, each.message) for each in problems if each.name not in ("by", "then", *_OF_THE_PAGE)]
    if errors:
        raise invalid(*errors)
    keys = keys_seen(caller)
    return Asked(caller.tenant.id, view, by, view.period(view.today(now, own)), view.zone or own, keys)


def _no_day(text: str) -> str:
    """What is wrong with a day, also where it is not asked for; "" for nothing."""
    try:
        day_of(text)
    except ValueError as error:
        return str(error)
    return ""


def invalid(*errors: tuple[str, str]) -> ApiProblem:
    """A refusal that says which parameters cannot be taken."""
    said = " ".join(f"{name}: {message}" for name, message in dict.fromkeys(errors))
    return ApiProblem(422, "invalid_request", said)


def answered(ask: Callable[[], Answer]) -> Answer:
    """An answer of ClickHouse; a problem for what cannot be asked. What ClickHouse does not answer, the API says."""
    try:
        return ask()
    except ValueError as error:
        raise ApiProblem(422, "invalid_request", str(error)) from error


@operation(
    spend,
    "GET",
    "",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={200: SpendOut, 503: Problem},
    parameters=[
        BY,
        *PERIOD,
        {
            "in": "query",
            "name": "each",
            "schema": {"type": "string", "enum": ["whole", "day", "hour"], "default": "whole"},
            "description": "The buckets of time, in the zone. Hours: at most 40 days.",
        },
        {
            "in": "query",
            "name": "compare",
            "schema": {"type": "string", "enum": ["previous"]},
            "description": "Hold the days that are over against as many before; of a month, those of the month before.",
        },
        {
            "in": "query",
            "name": "sort",
            "schema": {"type": "string", "enum": [name for name, each in MEASURES.items() if each.adds]},
            "description": "The largest first; without it by time and groups.",
        },
        *FILTERS,
    ],
    summary="A slice of spend, by time and dimensions",
)
def read_spend(request: HttpRequest, rows: Query[Rows]) -> dict[str, Any]:
    """Takes the address of the Explore page: what it shows is what this answers, to the last decimal."""
    asked = asked_by(request)
    each = Each(request.GET.get("each") or Each.WHOLE)
    return answered(lambda: _spend(asked, each, rows))


def _spend(asked: Asked, each: Each, rows: Rows) -> dict[str, Any]:
    complete_until = freshness(asked.tenant_id, keys=asked.keys).data_to
    found = cells(asked.tenant_id, asked.slice, by=asked.by, each=each, purpose="api: spend")
    compared, before = _compared(asked, found, each) if asked.view.compare else (None, {})
    shown, cursor = _page(_ordered(found, asked.view.sort), rows, asked.view.sort)
    return {
        "first": asked.period.first,
        "last": asked.period.last,
        "zone": asked.zone,
        "each": each,
        "by": asked.by,
        "complete_until": complete_until,
        "total": sums_of(together(found, asked.period.first)),
        "compared": compared,
        "items": [
            {
                **sums_of(cell),
                "begin": cell.begin,
                "groups": dict(zip(asked.by, cell.groups, strict=True)),
                "before": sums_of(before[cell.groups]) if cell.groups in before else None,
            }
            for cell in shown
        ],
        "next": cursor,
    }


def _compared(
    asked: Asked, found: Sequence[Cell], each: Each
) -> tuple[dict[str, Any] | None, dict[tuple[str, ...], Cell]]:
    days, closed_last = asked.period.compared(), asked.period.closed_last
    if days is None or closed_last is None:
        return None, {}
    first = asked.period.first
    now = cells(asked.tenant_id, asked.slice.on(first, closed_last), purpose="api: spend")
    before = cells(asked.tenant_id, asked.slice.on(*days), by=asked.by, purpose="api: spend")
    said = {
        "first": first,
        "last": closed_last,
        "before_first": days[0],
        "before_last": days[1],
        "total": sums_of(together(now, first)),
        "before": sums_of(together(before, first)),
    }
    return said, {cell.groups: cell for cell in before} if each is Each.WHOLE else {}


def _key(cell: Cell, sort: str) -> list[Any]:
    """What rows are ordered by; it names a row."""
    ranked = [str(-Decimal(MEASURES[sort].of(cell) or 0))] if sort in MEASURES else []
    return [*ranked, cell.begin.isoformat(), *cell.groups]


def _rank(key: Sequence[str], sort: str) -> tuple[Any, ...]:
    return (Decimal(key[0]), *key[1:]) if sort in MEASURES else tuple(key)


def _ordered(found: Iterable[Cell], sort: str) -> list[Cell]:
    return sorted(found, key=lambda cell: _rank(_key(cell, sort), sort))


def _page(ordered: list[Cell], rows: Rows, sort: str) -> tuple[list[Cell], str | None]:
    """The rows after the cursor's: rows that come or go meanwhile shift nothing."""
    if rows.cursor:
        after = _rank(_read_cursor(rows.cursor, sort), sort)
        ordered = [cell for cell in ordered if _rank(_key(cell, sort), sort) > after]
    shown, more = ordered[: rows.limit], len(ordered) > rows.limit
    return shown, signing.dumps([sort, *_key(shown[-1], sort)], salt=_SALT) if more else None


def _read_cursor(cursor: str, sort: str) -> list[str]:
    try:
        said, *key = signing.loads(cursor, salt=_SALT)
    except (signing.BadSignature, ValueError, json.JSONDecodeError) as error:
        raise _wrong_cursor() from error
    if said != sort:
        raise _wrong_cursor()
    return list(key)


def _wrong_cursor() -> ApiProblem:
    return ApiProblem(
        422, "invalid_cursor", "This cursor is not of this list: leave it out, or send `next` as it came."
    )


def sums_of(cell: Cell) -> dict[str, Any]:
    """A cell as `Sums`."""
    return {
        **{name: getattr(cell, name) for name in Sums.model_fields if hasattr(cell, name)},
        "cost_usd": f"{cell.cost:.12f}",
        "charge_usd": f"{cell.charge:.12f}",
        "per_request_usd": plain(MEASURES["per_request"].of(cell)),
        "per_million_tokens_usd": plain(MEASURES["per_million"].of(cell)),
        "error_rate": plain(MEASURES["error_rate"].of(cell)),
    }


class Most(Schema):
    """How many are asked for."""

    limit: int = Field(20, ge=1, le=200, description="How many at most.")


@operation(
    spend,
    "GET",
    "/movers",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={200: MoversOut, 503: Problem},
    parameters=[BY, *PERIOD, *FILTERS],
    summary="The groups whose spend changed most",
)
def read_movers(request: HttpRequest, most: Query[Most]) -> dict[str, Any]:
    """Against the days before, days that are over only. What changed most comes first, whether up or down."""
    asked = asked_by(request, known=_KNOWN - {"sort", "cursor"})
    by = asked.by or ["model"]
    days, closed_last = asked.period.compared(), asked.period.closed_last
    if days is None or closed_last is None:
        raise invalid(("period", "Today alone is not over, so nothing of it can be compared: choose earlier days."))
    of = asked.slice.on(asked.period.first, closed_last)
    # before the sums: what is counted in between is then in them and not claimed
    complete_until = answered(lambda: freshness(asked.tenant_id, keys=asked.keys).data_to)
    found = answered(lambda: movers(asked.tenant_id, of, days, by=by, most=most.limit))
    return {
        "first": asked.period.first,
        "last": closed_last,
        "before_first": days[0],
        "before_last": days[1],
        "zone": asked.zone,
        "by": by,
        "complete_until": complete_until,
        "items": [_mover(each, by) for each in found],
    }


def _mover(each: Mover, by: Sequence[str]) -> dict[str, Any]:
    return {
        "groups": dict(zip(by, each.groups, strict=True)),
        "before_usd": f"{each.before:.12f}",
        "now_usd": f"{each.now:.12f}",
        "change_usd": f"{each.change:.12f}",
        "change_share": plain(each.share),
        "kind": each.kind,
    }
