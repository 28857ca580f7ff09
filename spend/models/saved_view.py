"""Views of spend that people keep by name."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from tenants.models import Tenant
from tenants.scope import TenantManager
from wire.ids import short_id


def new_view_id() -> str:
    """An id such as `v_4k2m9x0c1v7b`."""
    return short_id("v")


class SavedView(models.Model):
    """An address of the Explore page under a name: its owner's own, or shared with the tenant."""

    id = models.CharField(primary_key=True, max_length=32, default=new_view_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=120)
    query = models.TextField()  # as `spend.exploring.view.View.query()` writes it
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "owner", "name"], name="saved_view_name_once")]

    def __str__(self) -> str:
        return f"{self.id} {self.name}"


class DefaultView(models.Model):
    """The view that the Explore page begins with for a person in a tenant."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    view = models.ForeignKey(SavedView, on_delete=models.CASCADE, related_name="+")

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="default_view_once")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.view_id}"
