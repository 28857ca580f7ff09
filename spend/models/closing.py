"""Sealed months: which they are, what was stated about them, and who is just storing older events."""

from __future__ import annotations

from django.db import models

from tenants.models import Tenant
from tenants.scope import TenantManager


class MonthSeal(models.Model):
    """A month that is being sealed, or is sealed. From its first commit on no event of the month is stored any more.

    Rows are never deleted, so that their number says which of them somebody knew (`spend.closing.booking`).
    """

    class State(models.TextChoices):
        SEALING = "sealing"
        SEALED = "sealed"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    month = models.DateField()  # its first day
    zone = models.CharField(max_length=64)  # in which its days are, for ever
    begin_ms = models.BigIntegerField()
    end_ms = models.BigIntegerField()  # the first moment of the next month: where what comes late is booked
    currency = models.CharField(max_length=3)
    complete_ms = models.BigIntegerField()  # everything acknowledged until then was counted when it began
    state = models.CharField(max_length=16, choices=State.choices, default=State.SEALING)
    marked = models.BooleanField(default=False)  # its days are to be counted once more, and nobody adds to them
    waits_for = models.CharField(max_length=300, blank=True)
    created_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    claim = models.CharField(max_length=32, blank=True)
    claimed_until = models.DateTimeField(null=True)
    sealed_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "month"], name="month_sealed_once")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.month:%Y-%m} {self.state}"


class Statement(models.Model):
    """What was stated about a sealed month: the very bytes, which are never written again."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    seal = models.OneToOneField(MonthSeal, on_delete=models.PROTECT, related_name="statement")
    month = models.DateField()
    number = models.CharField(max_length=64)
    body = models.BinaryField()  # canonical JSON
    sha256 = models.CharField(max_length=64)
    pdf = models.BinaryField()
    pdf_sha256 = models.CharField(max_length=64)
    made_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "number"], name="statement_number_once")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.number}"


class Booking(models.Model):
    """Somebody is storing events that may be of a month which is just being sealed; gone when they are stored.

    `knew` is how many seals that one had seen when it decided; None while it has not decided.
    """

    knew = models.PositiveBigIntegerField(null=True)
    until = models.DateTimeField(db_index=True)  # whoever made it has given up by then, or is dead

    def __str__(self) -> str:
        return f"{self.pk} until {self.until:%H:%M:%S}"
