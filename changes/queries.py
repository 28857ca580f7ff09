"""Reads of the audit trail."""

from __future__ import annotations

from collections.abc import Iterable

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
