"""Which days are to be counted anew, and in what time zone."""

from __future__ import annotations

from django.db import models


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
