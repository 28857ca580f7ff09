"""What KV shall hold (which is also the ledger of its writes), and which publisher writes into a namespace."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class KvEntry(models.Model):
    """One document's desired state in one environment: a body at a rev, or its deletion when `body` is None."""

    env = models.CharField(max_length=16)
    key = models.CharField(max_length=512)
    tenant_id = models.CharField(max_length=32, blank=True)  # whose document it is, "" for what all share
    rev = models.PositiveBigIntegerField()
    body = models.BinaryField(null=True)
    digest = models.CharField(max_length=64, blank=True)  # SHA-256 of the content at rev 0; "" for a deletion
    why = models.BigIntegerField()  # the audit event that made this rev
    updated_at = models.DateTimeField(auto_now=True)
    published_rev = models.PositiveBigIntegerField(default=0)  # the last rev that the store acknowledged
    published_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)  # failed ones, and the one that is under way
    next_at = models.DateTimeField(default=timezone.now)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["env", "key"], name="one_entry_per_key")]
        indexes = [
            models.Index(
                fields=["env", "next_at"],
                name="kv_entry_waiting",
                condition=models.Q(published_rev__lt=models.F("rev")),
            ),
            models.Index(fields=["env", "-published_at"], name="kv_entry_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.env} {self.key}"


class PublisherLease(models.Model):
    """Who may write into a namespace just now. The empty namespace stands for the step from outbox to desired state."""

    namespace = models.CharField(max_length=64, unique=True)
    holder = models.CharField(max_length=128, blank=True)
    expires_at = models.DateTimeField()
    error = models.TextField(blank=True)  # why nothing can be written into the namespace at all

    def __str__(self) -> str:
        return self.namespace
