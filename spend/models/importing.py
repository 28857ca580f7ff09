"""Imports of usage that did not pass the gateway, the files while they are needed, and who settles what counts."""

from __future__ import annotations

from django.db import models

from tenants.models import Project, Tenant
from tenants.scope import TenantManager
from wire.ids import short_id


def new_import_id() -> str:
    """An id such as `im_4k2m9x0c1v7b`."""
    return short_id("im")


class UsageImport(models.Model):
    """A file of usage: read once to see what would come in, and once more to bring it in. It can be withdrawn."""

    class Status(models.TextChoices):
        CHECKING = "checking", "Being checked"
        CHECKED = "checked", "Waiting for you"
        IMPORTING = "importing", "Being imported"
        DONE = "done", "Imported"
        WITHDRAWING = "withdrawing", "Being withdrawn"
        WITHDRAWN = "withdrawn", "Withdrawn"
        FAILED = "failed", "Failed"

    id = models.CharField(primary_key=True, max_length=32, default=new_import_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=32)  # of file: a name of `spend.importing.adapters.ADAPTERS`
    file_name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)  # SHA-256 of the file
    size = models.BigIntegerField()  # bytes
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="+"
    )  # of what the mapping does not name
    env = models.CharField(max_length=32)
    mapping = models.JSONField(default=dict)  # the provider's name of a key or project -> [our project, a credential]
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.CHECKING)
    price_version = models.PositiveIntegerField()
    override_version = models.PositiveIntegerField()
    shapes = models.JSONField(null=True)  # what its buckets are grouped by, by their kind and width
    done = models.PositiveBigIntegerField(default=0)  # rows that this pass is through with
    counts = models.JSONField(default=dict)  # rows by verdict: a `spend.importing.tally.Tally`
    errors = models.JSONField(default=list)  # [line, path, why] of the first refused rows
    sums = models.JSONField(default=list)  # by day and model
    begin_ms = models.BigIntegerField(null=True)  # of its rows, Unix ms
    end_ms = models.BigIntegerField(null=True)
    error = models.TextField(blank=True)
    created_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    claim = models.CharField(max_length=32, blank=True)  # of whoever works on it
    claimed_until = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "-created_at"], name="import_recent")]

    def __str__(self) -> str:
        return f"{self.id} {self.status}"


class ImportPart(models.Model):
    """A piece of an import's file, compressed. Gone once the import is through."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    of = models.ForeignKey(UsageImport, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    body = models.BinaryField()

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["of", "number"], name="import_part_once")]

    def __str__(self) -> str:
        return f"{self.of_id} {self.number}"


class ImportingTenant(models.Model):
    """A tenant that has imported usage: who settles what of it counts, and which state of its days was settled.

    One at a time, as two could write different things of the same event. No foreign key, like `CountedZone`.
    """

    tenant_id = models.CharField(primary_key=True, max_length=64)
    settled = models.JSONField(default=dict)  # day -> the rollup's `ver` of the day when it was settled
    claim = models.CharField(max_length=32, blank=True)
    claimed_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.tenant_id)
