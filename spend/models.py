"""What spend keeps in SQL: which days must be counted anew."""

from __future__ import annotations

from django.db import models


class DirtyDay(models.Model):
    """ "Events of this tenant's day came in": a recount deletes the very marks that it read, so none is lost."""

    tenant_id = models.CharField(max_length=32)  # no foreign key: an event may name a tenant that is gone
    day = models.DateField()  # in the tenant's zone
    marked_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.day}"
