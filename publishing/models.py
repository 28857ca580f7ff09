"""What KV shall hold (which is also the ledger of its writes), and which publisher writes into a namespace."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class KvEntry(models.Model):
    """One document's desired state in one store: a body at a rev, or its deletion when `body` is None.

    All stores of an environment hold the same documents at the same revs, unless a store was ahead of SQL.
    """

    env = models.CharField(max_length=16)
    store = models.CharField(max_length=255)  # a `wire.kv.stores.Store.id`
    key = models.CharField(max_length=512)
    tenant_id = models.CharField(max_length=32, blank=True)  # whose document it is, "" for what all share
    rev = models.PositiveBigIntegerField()
    body = models.BinaryField(null=True)
    digest = models.CharField(max_length=64, blank=True)  # SHA-256 of the content at rev 0; "" for a deletion
    why = models.BigIntegerField()  # the audit event that made this rev
    urgent = models.BooleanField(default=False)  # it takes something away from somebody: written before all others
    updated_at = models.DateTimeField(auto_now=True)
    published_rev = models.PositiveBigIntegerField(default=0)  # the last rev that the store acknowledged
    published_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)  # failed ones, and the one that is under way
    next_at = models.DateTimeField(default=timezone.now)
    parked = models.BooleanField(default=False)  # the store will never take this rev: not tried again by itself
    error = models.TextField(blank=True)
    held = models.CharField(max_length=64, blank=True)  # what a guard holds back, as the code that confirms it
    confirmed = models.CharField(max_length=64, blank=True)  # the code that a person has confirmed

    class Meta:
        constraints = [models.UniqueConstraint(fields=["env", "store", "key"], name="one_entry_per_key")]
        indexes = [
            models.Index(
                fields=["env", "store", "-urgent", "next_at"],
                name="kv_entry_waiting",
                condition=models.Q(published_rev__lt=models.F("rev"), parked=False),
            ),
            models.Index(fields=["env", "store"], name="kv_entry_parked", condition=models.Q(parked=True)),
            models.Index(fields=["env", "store", "-published_at"], name="kv_entry_last_write"),
            models.Index(fields=["env", "key"], name="kv_entry_by_key"),
        ]

    def __str__(self) -> str:
        return f"{self.env} {self.key}"


class KvVersion(models.Model):
    """What a document said at a rev, kept for 90 days: the ledger of what gateways were told, when, and why.

    A rev whose content is that of the rev before it (everything published anew, a store that was ahead of SQL) has no
    row: a document says at a rev what its newest row up to that rev says.
    """

    env = models.CharField(max_length=16)
    key = models.CharField(max_length=512)
    tenant_id = models.CharField(max_length=32, blank=True)
    rev = models.PositiveBigIntegerField()
    body = models.BinaryField(null=True)  # None for a deletion
    why = models.BigIntegerField()  # the audit event that made this rev
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["env", "key", "rev"], name="one_version_per_rev")]
        indexes = [
            models.Index(fields=["env", "-id"], name="kv_version_recent"),
            models.Index(fields=["at"], name="kv_version_by_age"),
            models.Index(fields=["tenant_id", "-id"], name="kv_version_by_tenant"),
            models.Index(fields=["why"], name="kv_version_by_event"),
        ]

    def __str__(self) -> str:
        return f"{self.env} {self.key} rev {self.rev}"


class Republish(models.Model):
    """Everything of an environment is published anew, at a higher rev, a piece at a time."""

    class Status(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        STOPPED = "stopped"

    env = models.CharField(max_length=16)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.RUNNING)
    after = models.CharField(
        max_length=512, blank=True
    )  # the last document that was raised, in the order of their keys
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    why = models.BigIntegerField()  # the audit event of whoever asked for it
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.env} {self.status}"


RECONCILE_COMMAND = "manage.reconcile"  # who compares and repairs by `manage.py reconcile`


class Reconciliation(models.Model):
    """One comparison of a store with SQL: what was found and what became of it."""

    class Status(models.TextChoices):
        CLEAN = "clean"  # nothing to do
        REPAIRED = "repaired"
        DRY = "dry"  # asked for without repair
        HELD = "held"  # the repair is so large that a person must confirm it
        FAILED = "failed"  # the store could not be listed whole

    env = models.CharField(max_length=16)
    store = models.CharField(max_length=255)
    status = models.CharField(max_length=16, choices=Status.choices)
    checked = models.PositiveIntegerField(default=0)  # documents that were compared
    absent = models.PositiveIntegerField(default=0)  # in SQL and not in the store
    different = models.PositiveIntegerField(default=0)  # of another rev or content
    foreign = models.PositiveIntegerField(default=0)  # in the store, and SQL knows nothing of them
    confirmation = models.CharField(max_length=64, blank=True)  # the code of exactly this diff
    confirmed_at = models.DateTimeField(null=True)  # a person has confirmed that diff: it is to be repaired
    examples = models.JSONField(default=list)  # the first keys of the diff, each with what is wrong
    error = models.TextField(blank=True)
    by_kind = models.CharField(max_length=16, blank=True)
    by_id = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["env", "store", "-at"], name="reconciliation_recent")]

    def __str__(self) -> str:
        return f"{self.env} {self.store} {self.status}"


class Comparison(models.Model):
    """Somebody asked for a store to be compared with SQL, without repair. Gone when a worker has done it."""

    env = models.CharField(max_length=16)
    store = models.CharField(max_length=255)
    by_kind = models.CharField(max_length=16)
    by_id = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["env", "store"], name="one_comparison_per_store")]

    def __str__(self) -> str:
        return f"{self.env} {self.store}"


class PublisherLease(models.Model):
    """Who may write into a namespace just now. The empty namespace stands for the step from outbox to desired state."""

    namespace = models.CharField(max_length=280, unique=True)  # "env store"
    holder = models.CharField(max_length=128, blank=True)
    expires_at = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)  # in a row, of the whole namespace
    paused_until = models.DateTimeField(null=True)  # nothing is sent before: the store asked for it, or does not answer
    error = models.TextField(blank=True)  # why nothing can be written into the namespace at all
    epoch = models.CharField(max_length=64, blank=True)  # how the store stood last, as `wire.kv.base.Standing` has it
    mark = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.namespace

    @property
    def paused(self) -> bool:
        """Whether nothing is sent just now."""
        return self.paused_until is not None and self.paused_until > timezone.now()
