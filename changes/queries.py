"""Reads of the audit trail."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from changes.models import AuditEvent


def events_about(target_kind: str, target_id: str, *, tenant: str, most: int = 50) -> list[AuditEvent]:
    """What happened to one thing of a tenant ("" for what belongs to none), the newest first."""
    found = AuditEvent.objects.filter(target_kind=target_kind, target_id=target_id, tenant_id=tenant)
    return list(found.order_by("-id")[:most])


def events_of_tenant(tenant: str, *, before: int | None = None, most: int = 50) -> list[AuditEvent]:
    """A tenant's events, the newest first. `before` is the id of the last one seen, to read on from there."""
    found = AuditEvent.objects.filter(tenant_id=tenant)
    if before is not None:
        found = found.filter(id__lt=before)
    return list(found.order_by("-id")[:most])


def events_by_id(ids: Iterable[int]) -> dict[int, AuditEvent]:
    """The events with these ids. Those of any tenant: the caller shows only what its reader may see."""
    return AuditEvent.objects.in_bulk(set(ids))


class Narrowed(NamedTuple):
    """What a list of events is narrowed to; None and "" narrow nothing. `tenants` are ids, "" for the installation."""

    tenants: Collection[str] | None
    since: datetime | None = None
    until: datetime | None = None
    kind: str = ""  # a kind, or what kinds begin with: "api_key."
    actors: Collection[str] | None = None
    targets: Collection[str] | None = None


def find_events(narrowed: Narrowed, *, before: int | None = None, most: int = 50) -> list[AuditEvent]:
    """Events that match, the newest first. `before` is the id of the last one seen, to read on from there.

    Nothing else keeps tenants apart here: the caller says whose events its reader may see.
    """
    found = AuditEvent.objects.all()
    if narrowed.tenants is not None:
        found = found.filter(tenant_id__in=narrowed.tenants)
    if narrowed.since is not None:
        found = found.filter(at__gte=narrowed.since)
    if narrowed.until is not None:
        found = found.filter(at__lt=narrowed.until)
    if narrowed.kind.endswith("."):
        found = found.filter(kind__startswith=narrowed.kind)
    elif narrowed.kind:
        found = found.filter(kind=narrowed.kind)
    if narrowed.actors is not None:
        found = found.filter(actor_id__in=narrowed.actors)
    if narrowed.targets is not None:
        found = found.filter(target_id__in=narrowed.targets)
    if before is not None:
        found = found.filter(id__lt=before)
    return list(found.order_by("-id")[:most])
