"""Writing exports: jobs that a crash interrupts nowhere for good.

A job is a row. Whoever works on it holds a lease, which each block renews; a job whose lease ran out is taken up by
somebody else, who writes the file anew. Each writes to a file of its own, which gets its name only once it is whole,
and the row names the file of whoever finished: so two never write into one file, and what is named is complete.

A file is done only when its rows and sums are those that the pages' own question says at that moment.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from spend.clickhouse.errors import ClickHouseError, UnavailableError
from spend.exports.actions import OPEN
from spend.exports.completeness import Completeness, completeness
from spend.exports.contents import content_of
from spend.exports.files import UNFINISHED, digest_of, finish, folder_of, forgotten
from spend.exports.formats import KEPT, writer_of
from spend.exports.manifest import about
from spend.exports.wanted import Format, Wanted, wanted_of
from spend.models import Export
from spend.zones import calendar, moment_of
from tenants.errors import RefusedError
from tenants.models import Tenant
from tenants.scope import across_tenants, tenant_scope

logger = structlog.get_logger(__name__)

LEASE = timedelta(seconds=90)  # of a claim, renewed with each block
ATTEMPTS = 3  # to write a file that agrees with the pages, while prices or late events change what they say
_TELL_SECONDS = 1.0
_WIDEST = 76  # digits of the widest sum
_BY = Actor.system("spend.exports")


class LostError(Exception):
    """The job was cancelled, or somebody else works on it now."""


class DiffersError(Exception):
    """The file is not what the pages say, or not what was asked for; the message says how."""


def waiting() -> bool:
    """Whether a job waits for somebody to work on it."""
    with across_tenants("exports of every tenant are written by the same worker"):
        return bool(_free().exists())


def work_off_all() -> int:
    """Write all files that wait, the oldest first. Returns how many jobs were worked on."""
    done = 0
    with across_tenants("exports of every tenant are written by the same worker"):
        while (found := _free().order_by("created_at").values_list("pk", flat=True).first()) is not None:
            if not work_off(found):
                break
            done += 1
    return done


def work_off(export_id: str, *, told: Callable[[Export], None] | None = None) -> bool:
    """Write one file; `told` hears of progress. False when the job is not open, in other hands, or must wait."""
    with across_tenants("a job is looked for by its id"):
        job = _claim(export_id)
    if job is None:
        return False
    with tenant_scope(job.tenant_id):
        try:
            _Work(job, told).do()
        except LostError:
            logger.info("export left to others", export=job.pk)
        except UnavailableError as error:
            logger.warning("export waits", export=job.pk, why=str(error))
            _held(job).update(
                claimed_until=timezone.now() + timedelta(seconds=15), error=f"{error} It goes on by itself."
            )
            return False
        except (OperationalError, InterfaceError):
            raise  # the database is away: it goes on when the claim has run out
        except Exception as error:
            # whatever it is would come again each time that the file is begun anew
            logger.exception("export failed", export=job.pk)
            known = isinstance(error, ClickHouseError | RefusedError | DiffersError | ValueError)
            _fail(job, str(error) if known else "An error in SpendOps, which the log describes.")
    return True


def forget_files() -> int:
    """Delete files that no export names. Returns how many."""
    with across_tenants("the folders of all tenants are looked at"):
        named = set(Export.objects.exclude(file="").values_list("file", flat=True))
    found = forgotten(named)
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _free() -> Any:
    now = timezone.now()
    return Export.objects.filter(Q(claimed_until=None) | Q(claimed_until__lte=now), status__in=OPEN)


def _claim(export_id: str) -> Export | None:
    claim = secrets.token_hex(8)
    until = timezone.now() + LEASE
    if (
        not _free()
        .filter(pk=export_id)
        .update(claim=claim, claimed_until=until, status=Export.Status.RUNNING, error="", rows=0, days_done=0)
    ):
        return None
    return Export.objects.select_related("tenant").filter(pk=export_id, claim=claim).first()


def _held(job: Export) -> Any:
    """The job's row while it is ours and running; no row otherwise."""
    return Export.objects.filter(pk=job.pk, claim=job.claim, status=Export.Status.RUNNING)


def _fail(job: Export, why: str) -> None:
    with transaction.atomic():
        changed = {"status": Export.Status.FAILED, "claimed_until": None, "error": why, "ended_at": timezone.now()}
        if _held(job).update(**changed):
            _record("export.failed", job, {"error": why})


def _record(kind: str, job: Export, after: dict[str, Any]) -> None:
    record(kind, by=_BY, tenant=job.tenant_id, target_kind="export", target_id=job.pk, after=after)


class _Work:
    """One claim of a job."""

    def __init__(self, job: Export, told: Callable[[Export], None] | None) -> None:
        self._job, self._told = job, told
        self._tenant: Tenant = job.tenant
        self._wanted: Wanted = wanted_of(job.kind, job.query)
        self._folder = folder_of(job.tenant_id)
        self._next_tell = 0.0

    def do(self) -> None:
        job = self._job
        unfinished = self._folder / f"{job.pk}-{job.claim}{UNFINISHED}"
        try:
            for attempt in range(1, ATTEMPTS + 1):
                found = completeness(job.tenant_id, self._wanted)
                if job.require_complete and found.reasons:
                    raise DiffersError(f"The period is not complete any more. {' '.join(found.reasons)}")
                why = self._write(unfinished, found)
                if not why:
                    break
                logger.info("export is written anew", export=job.pk, why=why, attempt=attempt)
                if attempt == ATTEMPTS:
                    raise DiffersError(
                        f"{why} They changed each time while the file was written: try again when less is going on."
                    )
            self._finish(unfinished, found)
        finally:
            unfinished.unlink(missing_ok=True)

    def _write(self, unfinished: Path, found: Completeness) -> str:
        """Write the file; how it differs from what the pages say, "" when it does not."""
        job = self._job
        content = content_of(self._tenant, self._wanted)
        summed = [place for place, column in enumerate(content.columns) if column.summed]
        sums = {content.columns[place].name: Decimal(0) for place in summed}
        rows, days_done = 0, 0
        day: date | None = None
        self._hold(total=content.total(), rows=0, days_done=0)
        writer = writer_of(Format(job.format))(unfinished, content.columns)
        try:
            with localcontext() as context:
                context.prec = _WIDEST
                for of, block in content.blocks():
                    writer.write(block)
                    rows += len(block)
                    for place in summed:
                        sums[content.columns[place].name] += sum(
                            (row[place] for row in block if row[place] is not None), Decimal(0)
                        )
                    days_done, day = days_done + (of != day), of
                    self._tell(rows, days_done)
                self._said = about(
                    job,
                    self._tenant,
                    self._wanted,
                    columns=content.columns,
                    complete=found,
                    rows=rows,
                    sums=sums,
                )
                writer.close(self._said)
                job.rows, job.days_done = rows, job.days
                # a running day changes with each call: what is left out of it is told by `complete_until`
                return "" if self._still_running(found) else content.amiss(rows, sums)
        except BaseException:
            with suppress(Exception):
                writer.abandon()
            raise

    def _still_running(self, found: Completeness) -> bool:
        return found.until < self._end()

    def _end(self) -> datetime:
        of = self._wanted.slice
        return moment_of(calendar(of.zone).bounds(of.first, of.last)[1])

    def _tell(self, rows: int, days_done: int) -> None:
        if time.monotonic() < self._next_tell:
            return
        self._hold(rows=rows, days_done=days_done)
        self._next_tell = time.monotonic() + _TELL_SECONDS
        if self._told is not None:
            self._told(self._job)

    def _hold(self, **changed: Any) -> None:
        """Change the job's row, if it is still ours. Raises LostError."""
        if not _held(self._job).update(claimed_until=timezone.now() + LEASE, **changed):
            raise LostError
        for name, value in changed.items():
            setattr(self._job, name, value)

    def _finish(self, unfinished: Path, found: Completeness) -> None:
        job, now = self._job, timezone.now()
        path = self._folder / f"{job.pk}-{job.claim}{KEPT[Format(job.format)].suffix}"
        digest, size = digest_of(unfinished), unfinished.stat().st_size
        self._hold()
        finish(unfinished, path)
        done = {
            "status": Export.Status.DONE,
            "rows": job.rows,
            "days_done": job.days,
            "total": job.rows,
            "bytes": size,
            "sha256": digest,
            "file": path.name,
            "complete_until": found.until,
            "partial": list(found.reasons),
            "manifest": self._said | {"bytes": size, "sha256": digest},
            "claimed_until": None,
            "ended_at": now,
            "expires_at": now + timedelta(days=settings.EXPORT_DAYS),
        }
        try:
            with transaction.atomic():
                if not _held(job).update(**done):
                    raise LostError
                after = {"rows": job.rows, "bytes": size, "sha256": digest, "partial": bool(found.reasons)}
                _record("export.finished", job, after)
        except BaseException:
            path.unlink(missing_ok=True)  # nobody names it
            raise
        logger.info("export done", export=job.pk, rows=job.rows, bytes=size)
