"""Working a re-rating off, in blocks of one tenant's events.

Of each block in this order: plan, insert, mark the days as dirty, count. The plan (in SQL) says which events are about
to be written and what changes by them; counting moves the cursor, adds the sums and drops the plan in one transaction.
Killed between any two, the block is taken up again: what the plan names is not counted twice, whether or not it was
written before. Prices and overrides are those of the versions that the job holds on to, so that whoever repeats a block
writes the very same. Two workers at once are kept apart by a claim that runs out; the one that lost it can only write
what the other writes, and counts nothing. Calls of sealed months are not written again (`spend.rerating.sealed`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from pricing.models import PriceBook as Published
from pricing.queries_overrides import finder_of, newest_version
from pricing.render import pricing_blob
from spend.clickhouse.errors import ClickHouseError, UnavailableError
from spend.closing.booking import Books, booking
from spend.ingest import insert_usage
from spend.models import ReratedTenant, Rerating, ReratingPlan
from spend.queries.rerating import HOUR, PastEvent, Rated, count_events, events_in, windows_from
from spend.rerating.price import Rater
from spend.rerating.scope import Cursor, Scope, Window
from spend.rerating.sealed import ADJUSTMENT, Sealed
from spend.rerating.sums import Sums, added
from spend.rollup import mark_moments
from spend.zones import Calendars
from wire.events import UsageEvent
from wire.money import usd_string
from wire.overrides import Overrides
from wire.prices import PriceBook

logger = structlog.get_logger(__name__)

BLOCK = 10_000  # events in memory at a time
LEASE = timedelta(seconds=90)  # of a claim, renewed with each block
_TAKEN_UP_MOST = 100_000  # a block that is taken up again may have grown by what arrived meanwhile
_ID = 16  # bytes
_BY = Actor.system("spend.rerating")


class LostError(Exception):
    """The job was stopped, or somebody else works on it now."""


class NoBookError(LookupError):
    """The price book of a job is not there."""


def work_off_all(*, seconds: float) -> None:
    """Go on with all jobs that are open, the oldest first, for so long."""
    ends = time.monotonic() + seconds
    for job_id in list(_open().order_by("created_at").values_list("pk", flat=True)):
        if time.monotonic() < ends:
            work_off(job_id, seconds=ends - time.monotonic())


def work_off(job_id: str, *, seconds: float | None = None, told: Callable[[Rerating], None] | None = None) -> bool:
    """Go on with a job until it is done, or `seconds` have passed. False when it is not open, or in other hands.

    `told` hears of each block that is done. What ClickHouse refuses ends the job as failed; while it is away, the job
    stays open with a note.
    """
    job = _claim(job_id)
    if job is None:
        return False
    ends = None if seconds is None else time.monotonic() + seconds
    try:
        worker = _Worker(job)
        while worker.turn() and (ends is None or time.monotonic() < ends):
            if told is not None:
                told(job)
    except LostError:
        logger.info("re-rating left to others", rerating=job_id)
        _release(job)
    except UnavailableError as error:
        logger.warning("re-rating waits", rerating=job_id, why=str(error))
        _held(job).update(claimed_until=None, error=f"{error} It goes on by itself.")
    except (ClickHouseError, NoBookError, ValueError) as error:
        logger.exception("re-rating failed", rerating=job_id)
        failed = Rerating.Status.FAILED
        _held(job).update(status=failed, claimed_until=None, error=str(error), ended_at=timezone.now())
    else:
        _release(job)
    return True


def moments_in(tenant: str, plan: ReratingPlan) -> list[tuple[str, int]]:
    """The first and the last moment (Unix ms) of each hour of a plan: they are on all days that it touches."""
    return [(tenant, hour + within) for hour in plan.hours for within in (0, HOUR - 1)]


def price_book(version: int) -> PriceBook | None:
    """A price book, the last few of which are remembered; None when there is none of this version."""
    digest = Published.objects.filter(version=version).values_list("digest", flat=True).first()
    return None if digest is None else _price_book(version, digest)


@lru_cache(maxsize=3)
def _price_book(version: int, _digest: str) -> PriceBook:
    return PriceBook(pricing_blob(env="", rev=0, version=version))


def _open() -> Any:
    return Rerating.objects.filter(status__in=(Rerating.Status.WAITING, Rerating.Status.RUNNING))


def _claim(job_id: str) -> Rerating | None:
    now, claim = timezone.now(), secrets.token_hex(8)
    free = _open().filter(Q(claimed_until=None) | Q(claimed_until__lte=now), pk=job_id)
    if not free.update(claim=claim, claimed_until=now + LEASE, status=Rerating.Status.RUNNING, error=""):
        return None
    return Rerating.objects.filter(pk=job_id, claim=claim).first()


def _held(job: Rerating) -> Any:
    """The job's row while it is ours, running, and where we think it is; no row otherwise."""
    return Rerating.objects.filter(pk=job.pk, claim=job.claim, turn=job.turn, status=Rerating.Status.RUNNING)


def _release(job: Rerating) -> None:
    """Nothing of ours is on its way any more; a claim that somebody else has by now stays."""
    Rerating.objects.filter(pk=job.pk, claim=job.claim).update(claimed_until=None)


def _hold(job: Rerating, **changed: Any) -> None:
    """Change the job's row, if it is still ours. Raises LostError."""
    if not _held(job).update(claimed_until=timezone.now() + LEASE, **changed):
        raise LostError


class _Block(NamedTuple):
    """A tenant's events that are priced together, and where the next block begins."""

    tenant: str
    events: Sequence[PastEvent]
    following: Cursor
    plan: ReratingPlan | None  # of whoever was here before


class _Found(NamedTuple):
    """What pricing a block found: the sums of what no plan counts yet, and what is to be written."""

    changed: Sums  # of events that change
    unchanged: Sums
    ids: bytes  # of events that change
    again: list[UsageEvent]  # to be written, those of the plan that were not yet included


class _Worker:
    def __init__(self, job: Rerating) -> None:
        self._job = job
        self._scope = Scope.of(job)
        book = price_book(job.price_version)
        if book is None:
            raise NoBookError(f"There is no price book {job.price_version}.")
        self._rater = Rater(book, price_book)
        self._calendars = Calendars()
        self._overrides: tuple[str, Overrides] | None = None  # of the tenant that is being worked on
        self._windows: Iterator[Window] = iter(())
        self._window: Window | None = None

    def turn(self) -> bool:
        """One block. False when the job is done."""
        if self._job.total is None:
            total = count_events(self._scope)
            _hold(self._job, total=total)
            self._job.total = total
        with booking() as books:
            if books.any_closed:
                books.wait_for_others()  # nobody writes a call of a sealed month while we read it
            block = self._taken_up() or self._next()
            if block is not None:
                self._work(block, books)
                return True
        self._finish()
        return False

    def _work(self, block: _Block, books: Books) -> None:
        found = self._priced(block, books)
        sums = added([found.unchanged, found.changed])
        if not self._job.dry:
            plan = self._planned(block, found)
            if plan is not None:
                books.hold()
                if found.again:
                    insert_usage(found.again, purpose="re-rating")
                moments = [(block.tenant, event.ts) for event in found.again if event.kind == ADJUSTMENT]
                moments += moments_in(block.tenant, plan)
                mark_moments(moments, since_ms=time.time_ns() // 1_000_000, calendars=self._calendars)
                sums = added([found.unchanged, Sums.of(plan.sums)])
        self._count(block, sums)

    def _taken_up(self) -> _Block | None:
        """The block whose plan somebody left."""
        plan = None if self._job.dry else ReratingPlan.objects.filter(pk=self._job.pk, turn=self._job.turn).first()
        if plan is None:
            return None
        cursor, following = Cursor.of(self._job.cursor), Cursor.of(plan.following)
        begin = cursor.hour if cursor.tenant == following.tenant else 0
        window = Window(following.tenant, begin, following.hour + HOUR if following.event_id else following.hour)
        events = events_in(self._scope, window, _within(cursor, window), until=following, most=_TAKEN_UP_MOST)
        return _Block(following.tenant, events, following, plan)

    def _next(self) -> _Block | None:
        cursor = Cursor.of(self._job.cursor)
        window = self._window = self._window or next(self._windows, None)
        if window is None:
            self._windows = windows_from(self._scope, cursor, most=BLOCK)
            window = self._window = next(self._windows, None)
        if window is None:
            return None
        events = events_in(self._scope, window, _within(cursor, window), most=BLOCK)
        if len(events) < BLOCK:
            return _Block(window.tenant, events, Cursor(window.tenant, window.end), None)
        last = events[-1]
        following = Cursor(window.tenant, last.ts // HOUR * HOUR, last.key, last.event_id)
        return _Block(window.tenant, events, following, None)

    def _priced(self, block: _Block, books: Books) -> _Found:
        overrides = self._overrides_of(block.tenant)
        sealed = Sealed(self._job.pk, block.tenant, books, block.events)
        counted = _ids(block.plan.ids) if block.plan is not None else frozenset()
        changed, unchanged = [0] * len(Sums._fields), [0] * len(Sums._fields)
        again: list[UsageEvent] = []
        ids = bytearray()
        for event in block.events:
            before, rated = self._rater.rate(event, overrides)
            in_sealed = sealed.holds(event)
            if in_sealed:
                before, rated = sealed.standing(event, before, rated)
            differs = rated != before or (in_sealed and sealed.is_booked(event))
            if differs and in_sealed:
                versions = (self._rater.version, overrides.version)
                again.append(sealed.adjustment(event, before, rated, versions=versions))
            elif differs:
                again.append(
                    event.again(
                        cost=_usd(rated.cost),
                        charge=_usd(rated.charge),
                        model_priced=rated.model_priced,
                        price_version=self._rater.version,
                        override_version=overrides.version,
                    )
                )
            if counted and event.id_bytes in counted:
                continue
            if differs:
                ids += event.id_bytes
            sums = changed if differs else unchanged
            for place, amount in enumerate(_contribution(before, rated, differs, in_sealed and differs)):
                sums[place] += amount
        return _Found(Sums(*changed), Sums(*unchanged), bytes(ids), again)

    def _overrides_of(self, tenant: str) -> Overrides:
        """The tenant's overrides, of the version that held when the dry run that is applied, or this job itself, first
        came to the tenant: what somebody confirmed is what is written.
        """
        if self._overrides is None or self._overrides[0] != tenant:
            confirmed = ReratedTenant.objects.filter(rerating=self._job.dry_run_id, tenant_id=tenant).first()
            version = newest_version(tenant) if confirmed is None else confirmed.override_version
            row, _ = ReratedTenant.objects.get_or_create(
                rerating=self._job, tenant_id=tenant, defaults={"override_version": version}
            )
            found = finder_of(tenant, row.override_version)
            if found is None:
                raise NoBookError(f"{tenant} has no overrides of version {row.override_version}.")
            self._overrides = (tenant, found)
        return self._overrides[1]

    def _planned(self, block: _Block, found: _Found) -> ReratingPlan | None:
        """The plan of this block, written down with what is new in it; None when nothing is to be written."""
        if block.plan is None and not found.ids:
            return None
        if block.plan is not None and not found.ids:
            return block.plan
        hours = {event.ts // HOUR * HOUR for event in found.again}
        ids, sums = found.ids, found.changed
        if block.plan is not None:
            hours |= set(block.plan.hours)
            ids, sums = bytes(block.plan.ids) + ids, added([Sums.of(block.plan.sums), sums])
        plan = ReratingPlan(
            rerating=self._job,
            turn=self._job.turn,
            following=block.following._asdict(),
            ids=ids,
            hours=sorted(hours),
            sums=sums.stored(),
        )
        with transaction.atomic():
            _hold(self._job)
            ReratingPlan.objects.filter(pk=self._job.pk).delete()
            plan.save(force_insert=True)
        return plan

    def _count(self, block: _Block, sums: Sums) -> None:
        job, following = self._job, block.following._asdict()
        with transaction.atomic():
            _hold(
                job,
                turn=job.turn + 1,
                cursor=following,
                events=F("events") + sums.events,
                changed=F("changed") + sums.changed,
            )
            row = ReratedTenant.objects.select_for_update().get(rerating=job, tenant_id=block.tenant)
            row.sums = added([Sums.of(row.sums), sums]).stored()
            row.save(update_fields=["sums"])
            ReratingPlan.objects.filter(pk=job.pk).delete()
        job.turn += 1
        job.cursor = following
        job.events += sums.events
        job.changed += sums.changed
        if self._window is not None and block.following == Cursor(self._window.tenant, self._window.end):
            self._window = None

    def _finish(self) -> None:
        job, now = self._job, timezone.now()
        whole = added(Sums.of(row.sums) for row in job.tenants.all())
        with transaction.atomic():
            _hold(job, status=Rerating.Status.DONE, total=F("events"), ended_at=now)
            record(
                "rerating.dry_run_finished" if job.dry else "rerating.finished",
                by=_BY,
                tenant=job.tenant_id,
                target_kind="rerating",
                target_id=job.pk,
                after={
                    "events": whole.events,
                    "changed": whole.changed,
                    "charge_before": usd_string(whole.charge_before),
                    "charge_after": usd_string(whole.charge_after),
                    "unpriced_before": whole.unpriced_before,
                    "unpriced_after": whole.unpriced_after,
                },
            )
        logger.info("re-rating done", rerating=job.pk, dry=job.dry, events=whole.events, changed=whole.changed)


def _within(cursor: Cursor, window: Window) -> Cursor:
    """The cursor, if it lies in this window; else the window's beginning."""
    return cursor if cursor.tenant == window.tenant and cursor.hour >= window.begin else Cursor(window.tenant)


def _contribution(before: Rated, after: Rated, differs: bool, adjusts: bool) -> tuple[int, ...]:
    return (
        1,
        int(differs),
        before.cost or 0,
        after.cost or 0,
        before.charge or 0,
        after.charge or 0,
        int(before.charge is None),
        int(after.charge is None),
        int(adjusts),
        (after.charge or 0) - (before.charge or 0) if adjusts else 0,
    )


def _ids(stored: bytes | memoryview) -> frozenset[bytes]:
    whole = bytes(stored)
    return frozenset(whole[start : start + _ID] for start in range(0, len(whole), _ID))


def _usd(pico: int | None) -> str | None:
    return None if pico is None else usd_string(pico)
