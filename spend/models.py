"""What spend keeps in SQL: days to be counted anew, and models that have no price. Events are in ClickHouse."""

from __future__ import annotations

from django.db import models

from wire.ids import short_id


class DirtyDay(models.Model):
    """A mark: events of this tenant's day were stored that its rollup may not hold yet.

    Marks are plain rows, as many as come: a recount deletes the very marks that it read, so that one that is set
    meanwhile stands. No foreign key: an event may name a tenant that SQL does not know.
    """

    tenant_id = models.CharField(max_length=64)
    day = models.DateField()  # in `zone`, which is the tenant's as far as whoever set the mark knew
    zone = models.CharField(max_length=64)
    since_ms = models.BigIntegerField()  # when the oldest of its events was sent, Unix ms

    class Meta:
        indexes = [models.Index(fields=["since_ms"], name="dirty_day_by_age")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.day}"


class CountedZone(models.Model):
    """The time zone that a tenant's days are counted in. It follows the tenant's own; `spend.moving` says how."""

    tenant_id = models.CharField(primary_key=True, max_length=64)
    zone = models.CharField(max_length=64)
    generation = models.PositiveIntegerField(default=0)  # how often it changed: what is counted later weighs more
    moving = models.BooleanField(default=False)  # it changed, and its days are yet to be marked

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.zone}"


class UnpricedModel(models.Model):
    """A model that gateways flagged in KV because it has no price (`missing:{provider}:{model}`). Of no one tenant."""

    provider = models.CharField(max_length=400)
    model = models.CharField(max_length=400)
    first_seen = models.DateTimeField()
    envs = models.JSONField(default=list)  # the environments that flagged it
    resolved_at = models.DateTimeField(null=True)  # it has a price, and none of its usage is left without

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "model"], name="unpriced_model_once")]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


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
