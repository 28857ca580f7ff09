"""What is written down about the audit trail itself."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from changes.actor import Actor
from changes.record import record


def note_export(*, tenant_id: str, format_name: str, filters: Mapping[str, str], by: Actor) -> None:
    """Somebody took a copy of the trail away: which part of it, and in which form."""
    with transaction.atomic():
        record(
            "audit.exported",
            by=by,
            tenant=tenant_id,
            target_kind="audit_trail",
            target_id=tenant_id or "installation",
            after={"format": format_name, "filters": dict(filters)},
        )
