"""Scheduled work of the audit trail."""

from __future__ import annotations

from celery import shared_task

from changes.heads import note_head


@shared_task(name="changes.tasks.note_audit_head")
def note_audit_head() -> None:
    """Write the chain's present end to the file outside the database."""
    note_head()
