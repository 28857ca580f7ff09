"""Reads of re-ratings and what they found."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from django.db.models import QuerySet

from spend.models import ReratedTenant, Rerating
from spend.rerating.sums import Sums, added
from tenants.models import Tenant


class Found(NamedTuple):
    """What a re-rating found so far, in all and by tenant, those whose charge changes most first."""

    whole: Sums
    tenants: list[tuple[str, str, Sums]]  # id, name, sums


def reratings() -> QuerySet[Rerating]:
    """All re-ratings, the newest first."""
    return Rerating.objects.select_related("dry_run").order_by("-created_at", "-pk")


def rerating_by_id(job_id: str) -> Rerating | None:
    """One re-rating; None when there is none."""
    return Rerating.objects.select_related("dry_run").filter(pk=job_id).first()


def applied_by(job: Rerating) -> Rerating | None:
    """The re-rating that wrote what this dry run found; None while nobody applied it."""
    return Rerating.objects.filter(dry_run=job).first()


def applied_among(jobs: Collection[Rerating]) -> frozenset[str]:
    """The ids of those dry runs that somebody applied."""
    found = Rerating.objects.filter(dry_run__in=[job.pk for job in jobs if job.dry])
    return frozenset(found.values_list("dry_run_id", flat=True))


def sums_of(jobs: Collection[Rerating]) -> dict[str, Sums]:
    """What several re-ratings found so far, in all, by their ids; those that found nothing yet are absent."""
    parts: dict[str, list[Sums]] = {}
    for job_id, stored in ReratedTenant.objects.filter(rerating__in=jobs).values_list("rerating_id", "sums"):
        parts.setdefault(job_id, []).append(Sums.of(stored))
    return {job_id: added(each) for job_id, each in parts.items()}


def found_by(job: Rerating) -> Found:
    """What a re-rating found so far."""
    rows = [(row.tenant_id, Sums.of(row.sums)) for row in ReratedTenant.objects.filter(rerating=job)]
    names = dict(Tenant.objects.filter(pk__in=[tenant for tenant, _ in rows]).values_list("pk", "name"))
    tenants = [(tenant, names.get(tenant, tenant), sums) for tenant, sums in rows if sums.events]
    tenants.sort(key=lambda row: (-abs(row[2].difference), -row[2].changed, row[1]))
    return Found(added(sums for _, sums in rows), tenants)


def finished_dry_run(job: Rerating) -> Rerating | None:
    """The last finished dry run with the scope and the price book of `job`, which need not be stored."""
    names = ("tenant_id", "provider", "model", "begin", "end", "unpriced_only", "price_version")
    same = {name: getattr(job, name) for name in names}
    return reratings().filter(dry=True, status=Rerating.Status.DONE, applied=None, **same).first()
