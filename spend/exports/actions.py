"""Asking for an export, cancelling it, deleting its file. The work itself is in `spend.exports.run`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from spend.clickhouse.errors import ClickHouseError
from spend.exports.completeness import completeness
from spend.exports.files import remove
from spend.exports.wanted import Wanted, checked_format, wanted_of
from spend.models import Export
from spend.queries.slices import NotKeptError
from tenants.errors import InvalidSettingError, StatusError
from tenants.models import Tenant

OPEN = (Export.Status.WAITING, Export.Status.RUNNING)
OPEN_MOST = 20
_BY = Actor.system("spend.exports")


class IncompleteError(StatusError):
    """A period that is not complete, where only a complete one will do. `reasons` say why."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(f"Nothing was exported, as the period is not complete. {' '.join(reasons)}", field="partial")
        self.reasons = reasons


def begin_export(*, tenant: Tenant, wanted: Wanted, written: str, require_complete: bool = False, by: Actor) -> Export:
    """Ask for a file. A period that is not complete makes a partial one, or with `require_complete` IncompleteError.

    Raises RefusedError for what cannot be exported, and ClickHouseError when that cannot be found out.
    """
    of = wanted.slice
    known = wanted.in_zone(tenant.time_zone)
    job = Export(
        tenant=tenant,
        kind=wanted.kind,
        format=checked_format(wanted.kind, written),
        query=wanted_of(wanted.kind, known.query).query,  # what a job could not read is refused here
        require_complete=require_complete,
        days=(of.last - of.first).days + 1,
        created_by=by.id,
    )
    try:
        found = completeness(tenant.id, known)
    except NotKeptError as error:
        raise InvalidSettingError(str(error), field="query") from error
    if require_complete and found.reasons:
        raise IncompleteError(found.reasons)
    job.complete_until, job.partial = found.until, list(found.reasons)
    with transaction.atomic():
        _record("export.begun", job, by)  # first, as it makes everybody else wait: of many at once, each is counted
        if Export.objects.filter(tenant=tenant, status__in=OPEN).count() >= OPEN_MOST:
            raise StatusError(f"{OPEN_MOST} exports wait or are being written: wait for one, or cancel one.")
        job.save(force_insert=True)
    return job


def cancel_export(*, export: Export, by: Actor) -> Export:
    """Stop an export that waits or is being written. Raises StatusError when it is over."""
    with transaction.atomic():
        job = Export.objects.select_for_update().get(pk=export.pk)
        if job.status not in OPEN:
            raise StatusError(f"This export is {job.get_status_display().lower()}: nothing was changed.")
        _record("export.cancelled", job, by)
        job.status, job.claimed_until, job.ended_at = Export.Status.CANCELLED, None, timezone.now()
        job.save(update_fields=["status", "claimed_until", "ended_at"])
    return job


def delete_export(*, export: Export, by: Actor) -> None:
    """Delete an export with its file. Raises StatusError while it is being written."""
    with transaction.atomic():
        job = Export.objects.select_for_update().get(pk=export.pk)
        if job.status in OPEN:
            raise StatusError("This export is not over yet: cancel it first. Nothing was changed.")
        _record("export.deleted", job, by)
        job.delete()
        transaction.on_commit(lambda: remove(export))


def note_download(*, export: Export, by: Actor) -> None:
    """Write down that somebody took the file."""
    with transaction.atomic():
        _record("export.downloaded", export, by, sha256=export.sha256)


def expire_exports(now: datetime) -> int:
    """Delete the files whose time has come. Returns how many. For work across tenants."""
    found = 0
    for each in Export.objects.filter(status=Export.Status.DONE, expires_at__lte=now).order_by("expires_at"):
        with transaction.atomic():
            job = Export.objects.select_for_update().filter(pk=each.pk, status=Export.Status.DONE).first()
            if job is None:
                continue
            _record("export.expired", job, _BY)
            job.status = Export.Status.EXPIRED
            job.file = ""
            job.save(update_fields=["status", "file"])
        remove(each)
        found += 1
    return found


def still_refused(tenant_id: str, wanted: Wanted) -> tuple[str, ...]:
    """Why a period is not complete, as far as that can be found out now. For pages that ask before they begin."""
    try:
        return completeness(tenant_id, wanted).reasons
    except ClickHouseError:
        return ()


def _record(kind: str, job: Export, by: Actor, **more: Any) -> None:
    said = {"export_kind": job.kind, "format": job.format, "query": job.query, "rows": job.rows, **more}
    record(kind, by=by, tenant=job.tenant_id, target_kind="export", target_id=job.pk, after=said)
