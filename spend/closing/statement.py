"""What a statement says: made of a month's events, rules and rate, as one document with one way to write it down."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from pricing.rates.base import Rate
from spend.cost_centres.rules import Book, settled
from spend.periods import month_end
from spend.queries.statement import StatementRow, statement_rows
from spend.zones import Calendar, calendar, moment_of
from tenants.models import Project
from tenants.scope import tenant_scope
from wire.display import moment_utc
from wire.money import PICO_PER_MICRO, decimal_from_micro, pico_from_usd_string, usd_string

FORMAT = "spendops-statement-1"
LATE, REPRICED = "late", "repriced"
_COUNTS = ("requests", "input_tokens", "output_tokens", "cached_tokens", "unpriced_requests", "unpriced_tokens")
_FIRST_YEAR = 2000

Document = dict[str, Any]


class Span(NamedTuple):
    """A month as it lies in time."""

    month: date
    zone: str
    begin_ms: int
    end_ms: int

    @classmethod
    def of(cls, month: date, zone: str) -> Span:
        """A month in a zone."""
        return cls(month, zone, *calendar(zone).bounds(month, month_end(month)))


def figures(tenant_id: str, span: Span, *, book: Book, rate: Rate | None, names: Mapping[str, str]) -> Document:
    """Everything in a statement that is made of events. `rate` None: in USD alone. Raises UnavailableError."""
    days = calendar(span.zone)
    rows = statement_rows(tenant_id, span.begin_ms, span.end_ms, months=_months(days, span.month), book=book)
    own = [row for row in rows if not row.of_month]
    earlier = [row for row in rows if row.of_month]
    lines = [_line(row, names) for row in own]
    adjustments = [
        {"month": f"{days.day_of(row.of_month):%Y-%m}", "why": REPRICED if row.kind == "adjustment" else LATE}
        | _line(row, names)
        for row in earlier
    ]
    _convert([*lines, *adjustments], "charge_usd", rate)
    totals = {"usage": _total(own), "adjustments": _total(earlier), "total": _total(rows)}
    if rate is not None:
        for total in totals.values():
            total["charge"] = _written(rate.from_pico(pico_from_usd_string(total["charge_usd"])))
    return {
        "lines": lines,
        "adjustments": adjustments,
        "unpriced": [line for line in [*lines, *adjustments] if line["unpriced_requests"]],
        "cost_centres": _cost_centres(rows, book, rate),
        "totals": totals,
    }


def frame(
    *, tenant_id: str, tenant: str, span: Span, currency: str, rate: Rate | None, complete_until: datetime, book: Book
) -> Document:
    """What a statement says beside its figures."""
    return {
        "format": FORMAT,
        "tenant": {"id": tenant_id, "name": tenant},
        "month": f"{span.month:%Y-%m}",
        "first_day": span.month.isoformat(),
        "last_day": month_end(span.month).isoformat(),
        "time_zone": span.zone,
        "begin_ms": span.begin_ms,
        "end_ms": span.end_ms,
        "begins_at": moment_utc(moment_of(span.begin_ms)),
        "ends_at": moment_utc(moment_of(span.end_ms)),
        "complete_until": moment_utc(complete_until),
        "currency": {"code": currency} | ({} if rate is None else _rate(rate)),
        "rules": book.stored(),
    }


def span_of(document: Document) -> Span:
    """The month of a statement."""
    month = date.fromisoformat(document["first_day"])
    return Span(month, document["time_zone"], document["begin_ms"], document["end_ms"])


def rate_of(document: Document) -> Rate | None:
    """The rate of a statement; None for one that has none."""
    held = document["currency"]
    if "rate_day" not in held:
        return None
    day = date.fromisoformat(held["rate_day"])
    return Rate(held["code"], day, held["units_e8"], held["usd_e8"], held["source"])


def names_in(document: Document) -> dict[str, str]:
    """The projects' names as a statement has them."""
    return {line["project"]: line["project_name"] for line in [*document["lines"], *document["adjustments"]]}


def names_of(tenant_id: str) -> dict[str, str]:
    """The projects' names as they are now."""
    with tenant_scope(tenant_id):
        return dict(Project.objects.values_list("pk", "name"))


def written(document: Document) -> bytes:
    """The one way to write a statement: JSON in UTF-8, names in order, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def checksum(body: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def _months(days: Calendar, month: date) -> list[int]:
    """When each month began, up to a month, Unix ms."""
    found = [date(year, number, 1) for year in range(_FIRST_YEAR, month.year + 1) for number in range(1, 13)]
    return [days.bounds(each)[0] for each in found if each <= month]


def _line(row: StatementRow, names: Mapping[str, str]) -> Document:
    return {
        "project": row.project,
        "project_name": names.get(row.project, row.project),
        "cost_centre": row.cost_centre,
        "model": row.model,
        **{name: getattr(row, name) for name in _COUNTS},
        "cost_usd": usd_string(pico_from_usd_string(row.cost)),
        "charge_usd": usd_string(pico_from_usd_string(row.charge)),
    }


def _total(rows: Iterable[StatementRow]) -> Document:
    known = list(rows)
    return {name: sum(getattr(row, name) for row in known) for name in _COUNTS} | {
        "cost_usd": usd_string(sum(pico_from_usd_string(row.cost) for row in known)),
        "charge_usd": usd_string(sum(pico_from_usd_string(row.charge) for row in known)),
    }


def _cost_centres(rows: Iterable[StatementRow], book: Book, rate: Rate | None) -> list[Document]:
    own: dict[str, int] = defaultdict(int)
    for row in rows:
        own[row.cost_centre] += pico_from_usd_string(row.charge)
    found = [
        {
            "name": each.centre,
            "own_usd": usd_string(each.own),
            "shared": [{"of": name, "charge_usd": usd_string(part)} for name, part in sorted(each.shared.items())],
            "charge_usd": usd_string(each.total),
        }
        for each in settled(own, book)
    ]
    _convert(found, "charge_usd", rate)
    return found


def _convert(lines: Sequence[Document], name: str, rate: Rate | None) -> None:
    """Add each line's amount in the tenant's currency, so that they come to the converted sum exactly."""
    if rate is None:
        return
    amounts = [pico_from_usd_string(line[name]) for line in lines]
    for line, micro in zip(lines, converted(amounts, rate), strict=True):
        line["charge"] = _written(micro)


def converted(amounts: Sequence[int], rate: Rate) -> list[int]:
    """Pico-USD in micro-units of a currency; the parts come to the conversion of the sum, by largest remainder."""
    divisor = rate.usd_e8 * PICO_PER_MICRO
    parts, left = [], []
    for place, amount in enumerate(amounts):
        whole, rest = divmod(amount * rate.units_e8, divisor)
        parts.append(whole)
        left.append((-rest, place))
    for _, place in sorted(left)[: rate.from_pico(sum(amounts)) - sum(parts)]:
        parts[place] += 1
    return parts


def _rate(rate: Rate) -> Document:
    return {
        "per_usd": f"{rate.per_usd:f}",
        "rate_day": rate.day.isoformat(),
        "source": rate.source,
        "units_e8": rate.units_e8,
        "usd_e8": rate.usd_e8,
    }


def _written(micro: int) -> str:
    return f"{decimal_from_micro(micro):.6f}"


def read(body: bytes | memoryview) -> Document:
    """A statement that was written."""
    document: Document = json.loads(bytes(body))
    return document


def now_utc() -> datetime:
    """This moment, to the second, as statements write it."""
    return datetime.now(UTC).replace(microsecond=0)
