"""What of imported usage counts, written down: events that stand for facts, made again whenever that changes.

The state that is wanted follows from the facts and from what passed the gateway, whatever happened before; an event
that stands otherwise is written again with a higher rev. So whoever repeats it, after a crash as well, writes nothing
new. Whoever writes holds the tenant (`holding`) and a booking of its months: sealed ones are left as they
are, and so are days of which single calls may be gone.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec
from django.db.models import Q
from django.utils import timezone

from pricing.queries import current_version
from pricing.queries_overrides import finder_of
from spend.clickhouse.client import ask
from spend.clickhouse.errors import UnavailableError
from spend.closing.booking import Books, booking
from spend.importing.facts import Fact, buckets_in, calls_in, moments
from spend.importing.matching import Passes, Taken, counts, in_turn, nothing, span_of, take
from spend.importing.passed import calls_that_passed, passed_on
from spend.importing.price import Pricing
from spend.importing.rows import DAY_SECONDS
from spend.ingest import insert_usage
from spend.models import ImportingTenant
from spend.queries.filters import Conditions
from spend.queries.rollup import counted_days
from spend.rerating.run import price_book
from spend.retention import usage_kept_from
from spend.rollup import mark_moments
from spend.zones import calendar_of
from wire.events import UsageEvent
from wire.overrides import Overrides

DAY_MS = DAY_SECONDS * 1000
LEASE = timedelta(seconds=180)
_WAIT_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_IDS_AT_ONCE = 2_000
_ROLLUP_DAYS = timedelta(days=1)


class BusyError(UnavailableError):
    """Somebody else is settling this tenant's imported usage. Try again."""


@contextmanager
def holding(tenant_id: str) -> Iterator[None]:
    """Be the only one who settles a tenant's imported usage. Raises BusyError when another one does for long."""
    ImportingTenant.objects.get_or_create(tenant_id=tenant_id)
    claim, ends = secrets.token_hex(8), time.monotonic() + _WAIT_SECONDS
    while True:
        now = timezone.now()
        free = ImportingTenant.objects.filter(Q(claimed_until=None) | Q(claimed_until__lte=now), tenant_id=tenant_id)
        if free.update(claim=claim, claimed_until=now + LEASE):
            break
        if time.monotonic() >= ends:
            raise BusyError("Imported usage of this tenant is being settled by somebody else.")
        time.sleep(_LOOK_SECONDS)
    try:
        yield
    finally:
        ImportingTenant.objects.filter(tenant_id=tenant_id, claim=claim).update(claimed_until=None)


def pricing_of(tenant_id: str, price_version: int, override_version: int) -> Pricing:
    """Prices by the versions that an import holds on to."""
    return Pricing(price_book(price_version), _overrides(tenant_id, override_version))


@lru_cache(maxsize=64)
def _overrides(tenant_id: str, version: int) -> Overrides:
    found = finder_of(tenant_id, version)
    if found is None:
        raise LookupError(f"{tenant_id} has no overrides of version {version}.")
    return found


def newest_pricing(tenant_id: str) -> Pricing:
    """What knows the names of models: the newest book. It prices nothing."""
    return pricing_of(tenant_id, current_version(), 0)


def counted_calls(tenant_id: str, facts: Sequence[Fact]) -> dict[str, UsageEvent]:
    """How single calls count, by their ids."""
    known = [fact for fact in facts if fact.event.upstream_request_id and not fact.withdrawn]
    passed: set[str] = set()
    if known:
        ids = [fact.event.upstream_request_id for fact in known]
        passed = calls_that_passed(tenant_id, ids, *moments(known))
    return {
        fact.event.event_id: nothing(fact.event)
        if fact.withdrawn or fact.event.upstream_request_id in passed
        else fact.event
        for fact in facts
    }


def counted_buckets(tenant_id: str, facts: Iterable[Fact], passes: Passes, naming: Pricing) -> dict[str, UsageEvent]:
    """How buckets count, by their ids. What they take is gone from `passes`."""
    found = {}
    for fact in in_turn(facts):
        if fact.withdrawn:
            found[fact.event.event_id] = nothing(fact.event)
            continue
        taken = take(fact, passes.get(span_of(fact, naming), ()))
        found[fact.event.event_id] = counts(fact, taken, _pricing_of(tenant_id, fact)) if _any(taken) else fact.event
    return found


def _pricing_of(tenant_id: str, fact: Fact) -> Pricing:
    return pricing_of(tenant_id, fact.price_version, fact.event.override_version)


def _any(taken: Taken) -> bool:
    return bool(taken.calls or taken.cost or any(taken.units.values()))


def settle(tenant_id: str, books: Books, *, days: Iterable[int] = (), facts: Sequence[Fact] = ()) -> int:
    """Write what counts of single calls (`facts`) and of the buckets that begin on UTC days; how many were written.

    Days are their first moments (Unix ms). All of them are marked to be counted anew.
    """
    written = 0
    if facts:
        written += write(tenant_id, counted_calls(tenant_id, facts), books)
    naming = newest_pricing(tenant_id)
    for day in sorted(set(days)):
        buckets = buckets_in(tenant_id, day, day + DAY_MS)
        if buckets:
            passes = passed_on(tenant_id, day, (fact.seconds for fact in buckets), naming)
            written += write(tenant_id, counted_buckets(tenant_id, buckets, passes, naming), books)
    return written


def first_kept_day(tenant_id: str) -> int:
    """The first moment (Unix ms) of the tenant's first day of which all single calls stand; 0 when they are kept."""
    kept = usage_kept_from()
    days = calendar_of(tenant_id)
    return days.bounds(days.day_of(kept))[1] if kept > 0 else 0


def write(tenant_id: str, wanted: Mapping[str, UsageEvent], books: Books) -> int:
    """Write the events that stand otherwise than wanted, and mark the days of all of them."""
    fixed = max(books.closed_until(tenant_id), first_kept_day(tenant_id))
    events = [event for event in wanted.values() if event.ts >= fixed]
    if not events:
        return 0
    stand = standing(tenant_id, events)
    again = []
    for event in events:
        stands = stand.get(event.event_id)
        if stands is None and not _empty(event):
            again.append(msgspec.structs.replace(event, rev=1))
        elif stands is not None and stands.differs(event):
            again.append(msgspec.structs.replace(event, rev=stands.rev + 1))
    if again:
        books.hold()
        insert_usage(again, purpose="imported usage")
    # those that stand as they should as well: whoever wrote them may not have come to mark them
    mark_moments([(tenant_id, event.ts) for event in events], since_ms=time.time_ns() // 1_000_000)
    return len(again)


def _empty(event: UsageEvent) -> bool:
    return not event.calls and not event.units and not _amount(event.cost) and not _amount(event.charge)


def _amount(text: str | None) -> bool:
    return text is None or text.strip("0.") != ""


class Standing(NamedTuple):
    """An event as it stands in usage_events."""

    event_id: str
    rev: int
    calls: int
    units: dict[str, int]
    cost: str | None
    charge: str | None
    project: str
    model_priced: str
    request_id: str
    price_version: int
    override_version: int

    def differs(self, event: UsageEvent) -> bool:
        """Whether an event stands otherwise than it should."""
        wanted = (event.calls, event.units, event.project, event.model_priced, event.request_id)
        versions = (event.price_version, event.override_version)
        return (
            (self.calls, self.units, self.project, self.model_priced, self.request_id) != wanted
            or (self.price_version, self.override_version) != versions
            or (_plain(self.cost), _plain(self.charge)) != (_plain(event.cost), _plain(event.charge))
        )

    def as_event(self, event: UsageEvent) -> UsageEvent:
        """The event with what stands of it."""
        return msgspec.structs.replace(event, calls=self.calls, units=self.units, cost=self.cost, charge=self.charge)


def _plain(amount: str | None) -> str | None:
    """An amount without zeros at its end."""
    if amount is None or "." not in amount:
        return amount
    return amount.rstrip("0").rstrip(".")


def standing(tenant_id: str, events: Sequence[UsageEvent]) -> dict[str, Standing]:
    """The events as they stand, by their ids; those that are not there are left out."""
    found: dict[str, Standing] = {}
    times = [event.ts for event in events]
    ids = [event.event_id for event in events]
    for first in range(0, len(ids), _IDS_AT_ONCE):
        where = Conditions().arrived(min(times), max(times) + 1)
        where.add("event_id IN %(ids)s", ids=tuple(ids[first : first + _IDS_AT_ONCE]))
        sql = (
            "SELECT toString(event_id), rev, calls, units, toString(cost), toString(charge), project_id, model_priced,"  # noqa: S608
            f" request_id, price_version, override_version FROM usage_events FINAL WHERE {where}"
        )
        rows = ask(sql, where.parameters, tenant_id=tenant_id, purpose="imported usage as it stands")
        found |= {row[0]: Standing(*row) for row in rows}
    return found


def settle_late(tenant_id: str) -> int:
    """Settle the days on which something changed since they were settled: calls that came late. How many were written.

    The rollup says on which: its `ver` of a day grows with every event. Raises BusyError, UnavailableError.
    """
    with holding(tenant_id):
        row = ImportingTenant.objects.get(tenant_id=tenant_id)
        days = calendar_of(tenant_id)
        versions = _versions(tenant_id)
        changed = [day for day, version in versions.items() if row.settled.get(day.isoformat()) != version]
        kept, written = first_kept_day(tenant_id), 0
        for day in changed:
            begin, end = days.bounds(day)
            if begin < kept:
                continue
            with booking() as books:
                written += settle(tenant_id, books, days=range(begin // DAY_MS * DAY_MS, end, DAY_MS))
            # a call of the next day or the day before is looked for among the gateway's of this day, too
            for page in calls_in(tenant_id, begin - DAY_MS, end + DAY_MS):
                with booking() as books:
                    written += write(tenant_id, counted_calls(tenant_id, page), books)
            row.settled[day.isoformat()] = versions[day]
            ImportingTenant.objects.filter(pk=row.pk).update(settled=row.settled, claimed_until=timezone.now() + LEASE)
    return written


def _versions(tenant_id: str) -> dict[date, int]:
    """The `ver` of each of the tenant's days that a bucket or call that was imported lies on, or next to."""
    where = Conditions().add("NOT withdrawn")
    sql = f"SELECT DISTINCT toDate(ts, 'UTC') FROM imported_usage FINAL WHERE {where}"  # noqa: S608
    imported = [row[0] for row in ask(sql, where.parameters, tenant_id=tenant_id, purpose="imported days")]
    near = sorted({day + step * _ROLLUP_DAYS for day in imported for step in (-1, 0, 1)})
    if not near:
        return {}
    where = Conditions().add("day IN %(near)s", near=tuple(near))
    sql = f"SELECT day, max(ver) FROM {counted_days(str(where))} GROUP BY day ORDER BY day"  # noqa: S608
    return dict(ask(sql, where.parameters, tenant_id=tenant_id, purpose="imported days"))
