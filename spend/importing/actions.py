"""Beginning, confirming, discarding and withdrawing an import. The work itself is in `spend.importing.run`."""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from pricing.queries import current_version
from pricing.queries_overrides import newest_version
from spend.closing.booking import closed_months
from spend.importing.adapters import ADAPTERS
from spend.importing.run import OPEN
from spend.importing.settling import first_kept_day
from spend.models import ImportPart, UsageImport
from spend.zones import moment_of
from tenants.actions.standing import hold_open
from tenants.errors import InvalidSettingError, RefusedError, StatusError
from tenants.models import Project, Tenant
from tenants.scope import tenant_scope
from wire.display import moment_to_the_minute

FILE_MOST = 200 * 2**20
PART = 2**20
NAME_LONGEST = 200
MAPPED_MOST = 1_000
UNCONFIRMED = (UsageImport.Status.CHECKING, UsageImport.Status.CHECKED)
UNCONFIRMED_MOST = 50
_WITHDRAWABLE = (UsageImport.Status.DONE, UsageImport.Status.FAILED)

Mapped = Mapping[str, tuple[str, str]]  # the provider's name -> our project's id, a credential of the gateway's or ""


def begin_import(
    *,
    tenant: Tenant,
    kind: str,
    project_id: str,
    env: str,
    file_name: str,
    pieces: Iterable[bytes],
    mapping: Mapped | None = None,
    by: Actor,
) -> UsageImport:
    """Take a file in and begin to check what of it would come in. Nothing counts before it is confirmed.

    The file may come in slowly: until all of it is here nothing is written, so that nobody waits for it.
    Raises RefusedError with the field at fault: `kind`, `project`, `env`, `mapping` or `file`.
    """
    if kind not in ADAPTERS:
        raise InvalidSettingError(f"There is no kind of file {kind[:40]!r}: {', '.join(ADAPTERS)}.", field="kind")
    if env not in settings.SPENDOPS.environments:
        known = " or ".join(settings.SPENDOPS.environments)
        raise InvalidSettingError(f"There is no environment {env[:40]!r}: choose {known}.", field="env")
    with tempfile.TemporaryFile() as file:
        size, digest = _received(pieces, file)
        with tenant_scope(tenant.id), transaction.atomic():
            job = _begun(tenant, kind, project_id, env, _plain(file_name), size, digest, mapping=mapping or {}, by=by)
            _keep(job, file)
    return job


def _begun(
    tenant: Tenant,
    kind: str,
    project_id: str,
    env: str,
    file_name: str,
    size: int,
    digest: str,
    *,
    mapping: Mapped,
    by: Actor,
) -> UsageImport:
    """The import's row. Raises RefusedError."""
    hold_open(tenant.id)
    if UsageImport.objects.filter(tenant=tenant, status__in=UNCONFIRMED).count() >= UNCONFIRMED_MOST:
        raise StatusError(
            f"{UNCONFIRMED_MOST} files wait to be checked or confirmed: confirm some of them, or discard them."
        )
    projects = dict(Project.objects.filter(tenant=tenant).values_list("id", "name"))
    if not project_id and len(projects) == 1:
        project_id = next(iter(projects))
    if project_id not in projects:
        raise InvalidSettingError("Choose one of the tenant's projects.", field="project")
    job = UsageImport(
        tenant=tenant,
        kind=kind,
        project_id=project_id,
        env=env,
        file_name=file_name,
        mapping={name: list(pair) for name, pair in _clean(mapping, projects).items()},
        price_version=current_version(),
        override_version=newest_version(tenant.id),
        size=size,
        digest=digest,
        created_by=by.id,
    )
    job.save(force_insert=True)
    _record("import.begun", job, by, after={"kind": kind, "project": project_id, "bytes": size})
    return job


def confirm_import(*, job: UsageImport, by: Actor) -> UsageImport:
    """Bring in what the check found. Raises StatusError."""
    with tenant_scope(job.tenant_id), transaction.atomic():
        row = _locked(job)
        if row.status != UsageImport.Status.CHECKED:
            raise StatusError(
                f"This import is not waiting: it is {row.get_status_display().lower()}. Nothing was changed."
            )
        if not (row.counts.get("new") or row.counts.get("changed") or row.counts.get("matched")):
            raise StatusError("Nothing of this file would come in: there is nothing to import.")
        expected = {"rows": row.counts["new"] + row.counts["changed"]}
        _record("import.confirmed", row, by, after=expected)
        row.status, row.done, row.counts, row.errors, row.sums = UsageImport.Status.IMPORTING, 0, {}, [], []
        row.claimed_until = None
        row.save(update_fields=["status", "done", "counts", "errors", "sums", "claimed_until"])
    return row


def discard_import(*, job: UsageImport, by: Actor) -> None:
    """Forget a file that was only checked. Raises StatusError."""
    with tenant_scope(job.tenant_id), transaction.atomic():
        row = _locked(job)
        if row.status not in UNCONFIRMED:
            raise StatusError(f"This import is {row.get_status_display().lower()}: it can be withdrawn, not discarded.")
        _record("import.discarded", row, by)
        row.status, row.error, row.ended_at = UsageImport.Status.FAILED, "Discarded before it came in.", timezone.now()
        row.begin_ms = row.end_ms = row.claimed_until = None
        row.save(update_fields=["status", "error", "ended_at", "begin_ms", "end_ms", "claimed_until"])
        ImportPart.objects.filter(of=row).delete()


def withdraw_import(*, job: UsageImport, by: Actor) -> UsageImport:
    """Begin to take back all that an import brought. Raises StatusError, also when it reaches into a sealed month."""
    with tenant_scope(job.tenant_id), transaction.atomic():
        row = _locked(job)
        if row.status not in _WITHDRAWABLE or row.begin_ms is None:
            raise StatusError(f"This import is {row.get_status_display().lower()}: there is nothing to withdraw.")
        closed = closed_months()[0].get(row.tenant_id, 0)
        if row.begin_ms < closed:
            until = moment_to_the_minute(moment_of(closed), row.tenant.time_zone)
            raise StatusError(
                f"It has rows of months that are sealed (before {until}), which stay as they are: book an adjustment."
            )
        if row.begin_ms < first_kept_day(row.tenant_id):
            raise StatusError("It has rows of days whose single calls are not kept any more: they stay as they are.")
        _record("import.withdrawal_begun", row, by)
        row.status, row.error, row.claimed_until = UsageImport.Status.WITHDRAWING, "", None
        row.save(update_fields=["status", "error", "claimed_until"])
    return row


def is_open(job: UsageImport) -> bool:
    """Whether something is still to be done about an import without anybody's doing."""
    return job.status in OPEN


def _received(pieces: Iterable[bytes], file: IO[bytes]) -> tuple[int, str]:
    """Put what is handed in on the disk; its size and digest."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if size > FILE_MOST:
            raise InvalidSettingError("The file is larger than 200 MB: import it in parts.", field="file")
        file.write(piece)
    if not size:
        raise InvalidSettingError("The file is empty.", field="file")
    return size, digest.hexdigest()


def _keep(job: UsageImport, file: IO[bytes]) -> None:
    """Keep the file with the import, piece by piece."""
    file.seek(0)
    for number, piece in enumerate(iter(lambda: file.read(PART), b"")):
        ImportPart.objects.create(tenant_id=job.tenant_id, of=job, number=number, body=zlib.compress(piece, 3))


def _plain(file_name: str) -> str:
    """A file's name without folders, and without what no database keeps."""
    return file_name.rpartition("/")[2].replace("\x00", "").strip()[:NAME_LONGEST] or "file"


def _clean(mapping: Mapped, projects: Mapping[str, str]) -> Mapped:
    """The mapping with ids of projects. Raises InvalidSettingError."""
    if len(mapping) > MAPPED_MOST:
        raise InvalidSettingError(f"At most {MAPPED_MOST:,} names can be mapped.", field="mapping")
    by_name = {name.casefold(): project for project, name in projects.items()}
    found = {}
    for theirs, (ours, credential) in mapping.items():
        project = ours if ours in projects else by_name.get(ours.casefold())
        if not theirs or "\x00" in theirs + credential or project is None:
            raise InvalidSettingError(
                f"{theirs[:60]!r} is mapped to {ours[:60]!r}, and there is no such project.", field="mapping"
            )
        found[theirs] = (project, credential[:64])
    return found


def _locked(job: UsageImport) -> UsageImport:
    found: UsageImport | None = UsageImport.objects.select_for_update().filter(pk=job.pk).first()
    if found is None:
        raise RefusedError("There is no such import any more.")
    return found


def _record(kind: str, job: UsageImport, by: Actor, after: Mapping[str, Any] | None = None) -> None:
    record(kind, by=by, tenant=job.tenant_id, target_kind="import", target_id=job.pk, after=after)
