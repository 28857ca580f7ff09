"""Starting, applying, stopping and resuming a re-rating. The work itself is in `spend.rerating.run`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from pricing.queries import current_version
from pricing.queries_overrides import newest_version
from spend.models import Rerating, ReratingPlan
from spend.rerating.run import moments_in
from spend.rollup import mark_moments
from tenants.errors import InvalidSettingError, RefusedError, StatusError
from tenants.models import Tenant

OPEN = (Rerating.Status.WAITING, Rerating.Status.RUNNING)
_BROKEN_OFF = (Rerating.Status.STOPPED, Rerating.Status.FAILED)
_AHEAD_MOST = timedelta(days=366)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LONGEST = {"provider": 64, "model": 400}
_SCOPE = ("tenant_id", "provider", "model", "begin", "end", "unpriced_only")


def start_dry_run(
    *,
    begin: datetime,
    end: datetime,
    tenant_id: str = "",
    provider: str = "",
    model: str = "",
    unpriced_only: bool = False,
    by: Actor,
) -> Rerating:
    """Begin to find out what calls from `begin` on and before `end` would cost by the prices that hold now.

    It writes no event. "" means every tenant, provider or model; `model` is one asked for or priced. Raises
    RefusedError with the field at fault.
    """
    if end <= begin:
        raise InvalidSettingError("The end must be after the beginning.", field="end")
    if begin < _EARLIEST:
        raise InvalidSettingError("There is no usage from before the year 2000.", field="begin")
    if begin > timezone.now():
        raise InvalidSettingError("The beginning is still to come: only past calls can be re-rated.", field="begin")
    if end > timezone.now() + _AHEAD_MOST:
        raise InvalidSettingError("The end lies more than a year ahead.", field="end")
    if tenant_id and not Tenant.objects.filter(pk=tenant_id).exists():
        raise InvalidSettingError("There is no such tenant.", field="tenant")
    version = current_version()
    if not version:
        raise RefusedError("There are no prices yet: run manage.py sync_prices first.")
    job = Rerating(
        dry=True,
        tenant_id=tenant_id,
        provider=provider.strip(),
        model=model.strip(),
        begin=begin,
        end=end,
        unpriced_only=unpriced_only,
        price_version=version,
        created_by=by.id,
    )
    for field, most in _LONGEST.items():
        if len(getattr(job, field)) > most:
            raise InvalidSettingError(f"That name is too long: {most} characters at most.", field=field)
    with transaction.atomic():
        job.save(force_insert=True)
        _record("rerating.dry_run_begun", job, by)
    return job


def apply_dry_run(*, dry_run: Rerating, by: Actor) -> Rerating:
    """Begin to write what a finished dry run found. Raises StatusError when that is not what would come out now."""
    with transaction.atomic():
        dry = Rerating.objects.select_for_update().get(pk=dry_run.pk)
        job = Rerating(
            dry=False,
            dry_run=dry,
            price_version=dry.price_version,
            total=dry.total,
            created_by=by.id,
            **{name: getattr(dry, name) for name in _SCOPE},
        )
        # first, as it makes everybody else wait: of two that come at once, one sees the other's job
        _record("rerating.begun", job, by)
        _refuse_outdated(dry)
        _refuse_second(job)
        job.save(force_insert=True)
    return job


def stop_rerating(*, job: Rerating, by: Actor) -> Rerating:
    """Stop a job after the block in hand. What it wrote stays, and it can be resumed. Raises StatusError."""
    with transaction.atomic():
        row = _move(job, OPEN, Rerating.Status.STOPPED, "rerating.stopped", by)
        plan = ReratingPlan.objects.filter(pk=row.pk).first()
        if plan is not None:  # whoever wrote it may have died before the days were marked
            mark_moments(moments_in(plan.following["tenant"], plan), since_ms=time.time_ns() // 1_000_000)
    return row


def resume_rerating(*, job: Rerating, by: Actor) -> Rerating:
    """Let a job that was stopped, or failed, go on where it was. Raises StatusError, also when another was begun since
    that concerns the same calls.
    """
    return _move(job, _BROKEN_OFF, Rerating.Status.WAITING, "rerating.resumed", by)


def outdated(dry: Rerating) -> str:
    """Why a dry run can be applied no more, "" when it can."""
    if not dry.dry:
        return "This is no dry run."
    if dry.status != Rerating.Status.DONE:
        return "The dry run has not finished."
    if Rerating.objects.filter(dry_run=dry).exists():
        return "This dry run was applied already."
    if dry.price_version != current_version():
        return "Prices have changed since this dry run. Run it again to see what would come out now."
    for tenant, version in dry.tenants.values_list("tenant_id", "override_version"):
        if newest_version(tenant) != version:
            return "Overrides have changed since this dry run. Run it again to see what would come out now."
    return ""


def _refuse_outdated(dry: Rerating) -> None:
    if why := outdated(dry):
        raise StatusError(f"{why} Nothing was changed.")


def _refuse_second(job: Rerating) -> None:
    """Two at once with other prices would overwrite each other, and neither's sums would be true."""
    others = Rerating.objects.filter(~Q(pk=job.pk), dry=False)
    if (other := others.filter(status__in=OPEN).first()) is not None:
        raise StatusError(
            f"The re-rating {other.pk} is at work. Wait until it is done, or stop it. Nothing was changed."
        )
    if (other := others.filter(status=Rerating.Status.STOPPED, claimed_until__gt=timezone.now()).first()) is not None:
        raise StatusError(
            f"The re-rating {other.pk} was stopped and is still at its last block. Try again in a minute. "
            "Nothing was changed."
        )


def _refuse_overtaken(job: Rerating) -> None:
    """A job holds on to its price book: going on, it would take back what a later one wrote."""
    later = Rerating.objects.filter(
        ~Q(pk=job.pk), dry=False, created_at__gte=job.created_at, begin__lt=job.end, end__gt=job.begin
    )
    for name in ("tenant_id", "provider"):
        if given := getattr(job, name):
            later = later.filter(**{f"{name}__in": ("", given)})
    if (other := later.first()) is not None:
        raise StatusError(
            f"The re-rating {other.pk} was begun after this one, for some of the same calls. Run dry again to see what "
            "is left. Nothing was changed."
        )


def _move(job: Rerating, of: tuple[str, ...], to: str, kind: str, by: Actor) -> Rerating:
    with transaction.atomic():
        row = Rerating.objects.select_for_update().get(pk=job.pk)
        if row.status not in of:
            raise StatusError(f"This re-rating is {row.get_status_display().lower()}: nothing was changed.")
        _record(kind, row, by)
        if to == Rerating.Status.WAITING and not row.dry:
            _refuse_second(row)
            _refuse_overtaken(row)
        row.status, row.error = to, ""
        if to == Rerating.Status.STOPPED:
            row.ended_at = timezone.now()  # whoever works on it has the block in hand until its claim ends
        else:
            row.ended_at = row.claimed_until = None
        row.save(update_fields=["status", "claimed_until", "error", "ended_at"])
    return row


def _record(kind: str, job: Rerating, by: Actor) -> None:
    after: dict[str, Any] = {
        "tenant": job.tenant_id,
        "provider": job.provider,
        "model": job.model,
        "begin_at": job.begin.isoformat(),
        "end_at": job.end.isoformat(),
        "unpriced_only": job.unpriced_only,
        "price_version": job.price_version,
    }
    if job.dry_run_id:
        after["dry_run"] = job.dry_run_id
    record(kind, by=by, tenant=job.tenant_id, target_kind="rerating", target_id=job.pk, after=after)
