"""The catalogue and its prices.

Prices are versioned by price books: a row holds from its first version to its last, and is never overwritten. What a
price book published can therefore be read again, and every past cost be explained.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.db import models

from wire.prices import ModelPrices, ProviderRules


class ImmutableError(Exception):
    """A price or a set of rules was to be changed or deleted: a new version closes the old one instead."""


class PriceBook(models.Model):
    """One version of all prices, as a sync found them."""

    version = models.PositiveIntegerField(primary_key=True)
    created_at = models.DateTimeField()
    checked_at = models.DateTimeField()  # the last sync that found exactly this
    source = models.CharField(max_length=64)
    source_version = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)  # SHA-256 of all prices and rules
    model_count = models.PositiveIntegerField()
    provider_count = models.PositiveIntegerField()
    figure_count = models.PositiveIntegerField()  # figures: each tier of each price of each period counts
    rounded_count = models.PositiveIntegerField()
    unexpressed_count = models.PositiveIntegerField()
    report = models.JSONField()  # `pricing.sources.base.Report`

    class Meta:
        get_latest_by = "version"

    def __str__(self) -> str:
        return f"Price book {self.version}"


class Provider(models.Model):
    """Who sells models. The id is the source's, and what usage events call the provider."""

    id = models.CharField(primary_key=True, max_length=64)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    note = models.TextField(blank=True)  # what the source says about this provider's prices
    pricing_urls = models.JSONField(default=list)
    api_pattern = models.TextField(blank=True)  # a regular expression of the provider's own addresses
    provider_match = models.JSONField(null=True)  # a match clause: other names of the provider
    gone = models.BooleanField(default=False)
    last_seen = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Model(models.Model):
    """A model as its provider sells it. One that a source no longer lists stays, with its history."""

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="models")
    model_id = models.CharField(max_length=255)  # as the source names it
    name = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    note = models.TextField(blank=True)  # what the source says about this model's prices
    context_window = models.PositiveBigIntegerField(null=True)
    deprecated = models.BooleanField(default=False)
    gone = models.BooleanField(default=False)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "model_id"], name="model_once_per_provider")]

    def __str__(self) -> str:
        return f"{self.provider_id}/{self.model_id}"


class Versioned(models.Model):
    """What holds from a price book's version to another; `last_version` empty means that it still holds."""

    seen_at = models.DateTimeField()
    first_version = models.ForeignKey(PriceBook, on_delete=models.PROTECT, related_name="+")
    last_version = models.ForeignKey(PriceBook, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise ImmutableError("What was published as a price is never changed: add a new version.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise ImmutableError("What was published as a price is never deleted: past costs are explained by it.")


class ModelPrice(Versioned):
    """All prices of one model: its periods, tiers and variants, in integers of pico-USD per unit."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="prices")
    prices = models.JSONField()  # a `wire.prices.ModelPrices`
    source = models.CharField(max_length=64)
    source_version = models.CharField(max_length=64)
    source_url = models.URLField(max_length=500, blank=True)  # the provider's own page of prices

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model"], condition=models.Q(last_version=None), name="one_current_price_per_model"
            )
        ]
        indexes = [models.Index(fields=["model", "first_version"], name="price_by_model")]

    def __str__(self) -> str:
        return f"{self.model_id} from version {self.first_version_id}"

    def decoded(self) -> ModelPrices:
        """The prices as the price book has them."""
        return msgspec.convert(self.prices, ModelPrices)


class MatchRules(Versioned):
    """How one provider's models are found by name: its rules in their order, and whose prices it borrows."""

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="match_rules")
    position = (
        models.PositiveIntegerField()
    )  # the provider's place in the catalogue: whose `model_match` is asked first
    rules = models.JSONField()  # a `wire.prices.ProviderRules`

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider"], condition=models.Q(last_version=None), name="one_current_rules_per_provider"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} from version {self.first_version_id}"

    def decoded(self) -> ProviderRules:
        """The rules as the price book has them."""
        return msgspec.convert(self.rules, ProviderRules)
