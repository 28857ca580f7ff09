"""Working imports off, in chunks of rows: the dry run, the import, and the withdrawal.

Of each chunk in this order: judge, keep what the file says, write what counts of it, mark its days, then move on in
SQL with the counts. Killed anywhere, the file is read again from its beginning, what was done is passed over, and the
chunk in hand is judged and written the same. Two workers are kept apart by a claim that runs out.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from spend.clickhouse.errors import ClickHouseError, UnavailableError
from spend.closing.booking import Books, booking, closed_months
from spend.importing.adapters import ADAPTERS, Adapter
from spend.importing.adapters.base import Found
from spend.importing.facts import Fact, facts_of_import, insert_facts
from spend.importing.judging import Findings, Judge, merged, shape_key
from spend.importing.reading import FileError, form_of, records
from spend.importing.rows import Place, Record, Row
from spend.importing.scratch import Named, Scratch
from spend.importing.settling import DAY_MS, holding, settle, settle_late
from spend.models import ImportingTenant, ImportPart, UsageImport
from tenants.scope import across_tenants, tenant_scope

logger = structlog.get_logger(__name__)

CHUNK = 2_000  # rows in memory at a time
LEASE = timedelta(seconds=180)
KEPT = timedelta(days=7)  # a file that nobody confirms
OPEN = (UsageImport.Status.CHECKING, UsageImport.Status.IMPORTING, UsageImport.Status.WITHDRAWING)
_BY = Actor.system("spend.importing")

Numbered = tuple[Found, Named | None]
Status = UsageImport.Status


class LostError(Exception):
    """The job was taken from us, or is not open any more."""


def work_off_all(*, seconds: float) -> None:
    """Go on with all imports that are open, the oldest first, for so long."""
    ends = time.monotonic() + seconds
    with across_tenants("imports of every tenant are worked off in turn"):
        jobs = list(UsageImport.objects.filter(status__in=OPEN).order_by("created_at").values_list("pk", "tenant_id"))
    for job_id, tenant_id in jobs:
        if time.monotonic() < ends:
            work_off(job_id, tenant_id, seconds=ends - time.monotonic())


def work_off(
    job_id: str, tenant_id: str, *, seconds: float | None = None, told: Callable[[UsageImport], None] | None = None
) -> bool:
    """Go on with an import until there is nothing to do, or `seconds` have passed. False when another one does.

    `told` hears of each chunk. A file that cannot be read, or what ClickHouse refuses, ends it as failed; while
    ClickHouse is away it stays open with a note.
    """
    with tenant_scope(tenant_id):
        job = _claim(job_id)
        if job is None:
            return False
        ends = None if seconds is None else time.monotonic() + seconds
        try:
            turns = _withdrawal(job) if job.status == Status.WITHDRAWING else _pass(job)
            for _ in turns:
                if told is not None:
                    told(job)
                if ends is not None and time.monotonic() >= ends:
                    break
        except LostError:
            logger.info("import left to others", usage_import=job_id)
        except UnavailableError as error:
            logger.warning("import waits", usage_import=job_id, why=str(error))
            _held(job).update(claimed_until=None, error=f"{error} It goes on by itself.")
        except (OperationalError, InterfaceError):
            raise  # the database is away: it goes on when the claim has run out
        except Exception as error:
            # whatever it is would come again each time: such a file must not keep others from coming in
            logger.exception("import failed", usage_import=job_id)
            known = isinstance(error, FileError | ClickHouseError)
            _fail(job, str(error) if known else "An error in SpendOps, which the log describes.")
        else:
            UsageImport.objects.filter(pk=job.pk, claim=job.claim).update(claimed_until=None)
        return True


def settle_all_late() -> int:
    """Settle imported usage of all tenants against calls that came late; how many events were written."""
    written = 0
    for tenant_id in ImportingTenant.objects.order_by("pk").values_list("pk", flat=True):
        try:
            written += settle_late(tenant_id)
        except UnavailableError as error:
            logger.warning("imported usage is settled later", tenant=tenant_id, why=str(error))
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("imported usage cannot be settled", tenant=tenant_id)  # that of others can
    return written


def forget_unconfirmed() -> None:
    """Forget the files of imports that nobody confirmed within a week."""
    with across_tenants("files of every tenant are forgotten in time"):
        old = UsageImport.objects.filter(status=Status.CHECKED, created_at__lt=timezone.now() - KEPT)
        for job_id, tenant_id in list(old.values_list("pk", "tenant_id")):
            with transaction.atomic():
                done = old.filter(pk=job_id).update(
                    status=Status.FAILED,
                    error="Nobody confirmed it within 7 days: its file was forgotten.",
                    ended_at=timezone.now(),
                    begin_ms=None,
                    end_ms=None,
                )
                if done:  # nobody confirmed it just now
                    record("import.discarded", by=_BY, tenant=tenant_id, target_kind="import", target_id=job_id)
                    ImportPart.objects.filter(of=job_id).delete()


def _claim(job_id: str) -> UsageImport | None:
    now, claim = timezone.now(), secrets.token_hex(8)
    free = UsageImport.objects.filter(Q(claimed_until=None) | Q(claimed_until__lte=now), pk=job_id, status__in=OPEN)
    if not free.update(claim=claim, claimed_until=now + LEASE, error=""):
        return None
    return UsageImport.objects.filter(pk=job_id, claim=claim).first()


def _held(job: UsageImport) -> Any:
    """The job's row while it is ours and where we think it is; no row otherwise."""
    return UsageImport.objects.filter(pk=job.pk, claim=job.claim, done=job.done, status=job.status)


def _hold(job: UsageImport, **changed: Any) -> None:
    """Change the job's row, if it is still ours. Raises LostError."""
    if not _held(job).update(claimed_until=timezone.now() + LEASE, **changed):
        raise LostError
    for name, value in changed.items():
        setattr(job, name, value)


def _fail(job: UsageImport, why: str) -> None:
    with transaction.atomic():
        if _held(job).update(status=Status.FAILED, claimed_until=None, error=why, ended_at=timezone.now()):
            record(
                "import.failed",
                by=_BY,
                tenant=job.tenant_id,
                target_kind="import",
                target_id=job.pk,
                after={"why": why},
            )
            ImportPart.objects.filter(of=job.pk).delete()  # nobody takes it up again


def _pieces(job: UsageImport) -> Iterator[bytes]:
    number = 0
    while (part := ImportPart.objects.filter(of=job.pk, number=number).first()) is not None:
        yield zlib.decompress(part.body)
        number += 1


def _found(job: UsageImport, adapter: Adapter) -> Iterator[Found]:
    pieces = _pieces(job)
    first = next(pieces, b"")
    form = form_of(first)
    if adapter.form and adapter.form != form:
        raise FileError(
            f"This is {form.upper()}, and “{adapter.label}” is {adapter.form.upper()}: choose the other kind."
        )
    checked = form == "json"
    for each in records(_chained(first, pieces), form=form):
        if not isinstance(each, Record):
            yield Place(each[0]), each[1]
            continue
        if not checked:
            if missing := sorted(adapter.columns - each.value.keys()):
                raise FileError(f"The first line has no column {missing[0]!r}: is this “{adapter.label}”?")
            checked = True
        yield from adapter.rows(each)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _shapes(job: UsageImport, adapter: Adapter) -> dict[str, str]:
    """What the file's buckets are grouped by, by their kind and width."""
    found: dict[str, str] = {}
    for number, (_, row) in enumerate(_found(job, adapter)):
        if isinstance(row, Row) and row.seconds:
            key = shape_key(row.shape)
            found[key] = merged(found.get(key, row.shape), row.shape)
        if number % CHUNK == 0:
            _hold(job)
    return found


def _pass(job: UsageImport) -> Iterator[None]:
    """The dry run or the import, a chunk a turn."""
    adapter, dry = ADAPTERS[job.kind], job.status == Status.CHECKING
    if job.shapes is None:
        _hold(job, shapes=_shapes(job, adapter))
    judge = Judge(job, adapter, job.shapes or {}, envs=settings.SPENDOPS.environments)
    with Scratch(job.tenant_id, adapter.source) as scratch:
        found = ((each, scratch.name(each[1]) if isinstance(each[1], Row) else None) for each in _found(job, adapter))
        for number, _ in enumerate(islice(found, job.done)):  # what was done; its rows are named all the same
            if number % CHUNK == 0:
                _hold(job)
        while chunk := list(islice(found, CHUNK)):
            (_judged if dry else _brought)(job, judge, chunk)
            yield
    if not Findings.of(job).tally.read:
        raise FileError("There is no row in the file.")
    _finish(job, dry=dry)


def _judged(job: UsageImport, judge: Judge, chunk: Sequence[Numbered]) -> None:
    findings = Findings.of(job)
    judge.judge(chunk, findings, closed_months()[0].get(job.tenant_id, 0))
    _hold(job, done=job.done + len(chunk), **findings.stored())


def _brought(job: UsageImport, judge: Judge, chunk: Sequence[Numbered]) -> None:
    findings = Findings.of(job)
    with holding(job.tenant_id):
        with booking() as books:
            facts = judge.judge(chunk, findings, books.closed_until(job.tenant_id))
            if facts:
                books.hold()
                insert_facts(facts)
                _settle(job, books, facts)
        _hold(job, done=job.done + len(chunk), **findings.stored())


def _settle(job: UsageImport, books: Books, facts: Sequence[Fact]) -> None:
    days = {fact.event.ts // DAY_MS * DAY_MS for fact in facts if fact.seconds}
    settle(job.tenant_id, books, days=days, facts=[fact for fact in facts if not fact.seconds])


def _finish(job: UsageImport, *, dry: bool) -> None:
    now = timezone.now()
    with transaction.atomic():
        _hold(job, status=Status.CHECKED if dry else Status.DONE, ended_at=None if dry else now)
        record(
            "import.checked" if dry else "import.finished",
            by=_BY,
            tenant=job.tenant_id,
            target_kind="import",
            target_id=job.pk,
            after=job.counts,
        )
        if not dry:
            ImportPart.objects.filter(of=job.pk).delete()
    logger.info("import done", usage_import=job.pk, dry=dry, **job.counts)


def _withdrawal(job: UsageImport) -> Iterator[None]:
    """Take back what an import brought: its rows stand with nothing, so that all sums are as they were."""
    if job.begin_ms is not None and job.end_ms is not None:
        for page in facts_of_import(job.tenant_id, job.pk, job.begin_ms, job.end_ms):
            with holding(job.tenant_id), booking() as books:
                if min(fact.event.ts for fact in page) < books.closed_until(job.tenant_id):
                    raise FileError("A month that it reaches into was sealed meanwhile: the rest of it stays.")
                stand = [fact for fact in page if not fact.withdrawn]
                gone = [msgspec.structs.replace(fact, withdrawn=True, rev=fact.rev + 1) for fact in stand]
                if gone:
                    books.hold()
                    insert_facts(gone)
                # those that somebody withdrew and then died as well: their events may stand still
                _settle(job, books, [*gone, *(fact for fact in page if fact.withdrawn)])
            _hold(job)
            yield
    with transaction.atomic():
        _hold(job, status=Status.WITHDRAWN, ended_at=timezone.now())
        record("import.withdrawn", by=_BY, tenant=job.tenant_id, target_kind="import", target_id=job.pk)
        ImportPart.objects.filter(of=job.pk).delete()
