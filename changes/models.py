"""The two kinds of row that every change leaves behind."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone


class AppendOnlyError(Exception):
    """Audit events are written once and never changed or deleted."""


class AuditEvent(models.Model):
    """What happened, who did it, and what was before and after.

    Ids are text without foreign keys, so the trail neither blocks a deletion nor dies with what it describes.
    Triggers (`changes/append_only.py`) refuse what goes past these methods, such as an UPDATE by hand. Only
    `changes.record.record()` makes events: it links each to the one before.
    """

    id = models.BigIntegerField(primary_key=True)  # counts without gaps from 1, see `changes/chain.py`
    at = models.DateTimeField()
    kind = models.CharField(max_length=64)  # such as "api_key.issued"
    tenant_id = models.CharField(max_length=32, blank=True)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64)
    actor_role = models.CharField(max_length=32, blank=True)
    target_kind = models.CharField(max_length=32)
    target_id = models.CharField(max_length=128)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=45, blank=True)
    previous = models.CharField(max_length=64, blank=True)  # the digest of the event before
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant_id", "-id"], name="audit_by_tenant"),
            models.Index(fields=["target_kind", "target_id", "-id"], name="audit_by_target"),
            models.Index(fields=["actor_id", "-id"], name="audit_by_actor"),
            models.Index(fields=["kind", "-id"], name="audit_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError("An audit event cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("An audit event cannot be deleted.")


class OutboxRow(models.Model):
    """“This object changed”: the publisher reads the object again when it publishes, so the row holds its id only."""

    topic = models.CharField(max_length=32)  # a `changes.record.Topic`
    object_id = models.CharField(max_length=128)
    audit_event_id = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(default=timezone.now)  # not looked at before; later after each failure
    urgent = models.BooleanField(default=False)  # it takes something away from somebody: looked at before all others
    after = models.CharField(max_length=64, blank=True)  # of an object of many documents: the last that was rendered
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["urgent", "due_at", "id"], name="outbox_by_urgency")]

    def __str__(self) -> str:
        return f"{self.topic} {self.object_id}"
