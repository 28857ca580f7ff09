"""Models that have no price."""

from __future__ import annotations

from django.db import models


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
