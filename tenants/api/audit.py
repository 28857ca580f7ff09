"""The audit trail of the tenant."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpRequest
from ninja import Query, Router

from changes.models import AuditEvent
from tenants.api.schemas import AuditOut, AuditPage, AuditQuery
from tenants.frame.operations import operation
from tenants.frame.paging import page_of
from tenants.http import TenantRequest
from tenants.permissions import Permission

audit = Router(tags=["Audit"])


@operation(audit, "GET", "", Permission.AUDIT_VIEW, answers={200: AuditPage}, summary="What happened")
def list_audit(request: HttpRequest, narrowed: Query[AuditQuery]) -> Any:
    """The tenant's audit events, the newest first."""
    rows = AuditEvent.objects.filter(tenant_id=cast(TenantRequest, request).tenant.id)
    wanted = {
        "kind": narrowed.kind,
        "actor_id": narrowed.actor,
        "target_id": narrowed.target,
        "at__gte": narrowed.since,
        "at__lt": narrowed.until,
    }
    rows = rows.filter(**{name: value for name, value in wanted.items() if value})
    return page_of(rows, narrowed, AuditOut.model_validate, newest_by=("id",), salt="audit")
