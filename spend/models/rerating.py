"""Re-ratings: jobs that price past events anew."""

from __future__ import annotations

from django.db import models

from wire.ids import short_id


def new_rerating_id() -> str:
    """An id such as `r_4k2m9x0c1v7b`."""
    return short_id("r")


class Rerating(models.Model):
    """A job that prices past events anew, by writing them again with a higher rev. Of no tenant, or of one."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        STOPPED = "stopped"
        FAILED = "failed"

    id = models.CharField(primary_key=True, max_length=32, default=new_rerating_id, editable=False)
    dry = models.BooleanField()  # only says what would change
    dry_run = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="applied")  # what it applies
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.WAITING)
    tenant_id = models.CharField(max_length=64, blank=True)  # "" for all
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=400, blank=True)  # asked or priced; "" for all
    begin = models.DateTimeField()
    end = models.DateTimeField()
    unpriced_only = models.BooleanField(default=False)
    price_version = models.PositiveIntegerField()  # the book that it prices by
    cursor = models.JSONField(default=dict, blank=True)  # where it goes on: a `spend.rerating.scope.Cursor`
    turn = models.PositiveBigIntegerField(default=0)  # how many blocks are done
    events = models.PositiveBigIntegerField(default=0)  # looked at
    total = models.PositiveBigIntegerField(null=True)  # to look at, as counted when it began
    changed = models.PositiveBigIntegerField(default=0)
    error = models.TextField(blank=True)
    created_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    claim = models.CharField(max_length=32, blank=True)  # of whoever works on it
    claimed_until = models.DateTimeField(null=True)  # whoever works on it renews this; after it, another may
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["-created_at"], name="rerating_recent")]

    def __str__(self) -> str:
        return f"{self.id} {self.status}"


class ReratedTenant(models.Model):
    """What a re-rating found in one tenant so far, and the overrides that it prices the tenant's calls by."""

    rerating = models.ForeignKey(Rerating, on_delete=models.CASCADE, related_name="tenants")
    tenant_id = models.CharField(max_length=64)
    override_version = models.PositiveIntegerField()  # 0: it has none
    sums = models.JSONField(default=dict)  # a `spend.rerating.sums.Sums`; pico-USD may need more than 64 bits: texts

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rerating", "tenant_id"], name="rerated_tenant_once")]

    def __str__(self) -> str:
        return f"{self.rerating_id} {self.tenant_id}"


class ReratingPlan(models.Model):
    """What a re-rating is about to write: kept from before the events are written until the block is counted.

    Whoever takes the block up again knows by it which events' changes are in its sums already.
    """

    rerating = models.OneToOneField(Rerating, on_delete=models.CASCADE, primary_key=True, related_name="plan")
    turn = models.PositiveBigIntegerField()
    following = models.JSONField()  # the cursor after this block
    ids = models.BinaryField()  # of the events to be written, 16 bytes each
    hours = models.JSONField()  # in which they are, Unix ms
    sums = models.JSONField()  # of these events alone

    def __str__(self) -> str:
        return f"{self.rerating_id} block {self.turn}"
