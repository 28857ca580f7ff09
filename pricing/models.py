"""The catalogue and its prices.

Prices are versioned by price books: a row holds from its first version to its last, and is never overwritten. What a
price book published can therefore be read again, and every past cost be explained.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.db import models

from tenants.models import Project, Tenant
from tenants.scope import TenantManager
from wire.ids import short_id
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
    output_most = models.PositiveBigIntegerField(null=True)  # tokens of one answer at most
    capabilities = models.JSONField(default=list, blank=True)  # such as "tools", "vision", "embeddings"
    aliases = models.JSONField(default=list, blank=True)  # other names by which its provider knows it
    tier = models.CharField(max_length=16, blank=True)  # bulk, standard or frontier; "" while nobody said
    deprecated = models.BooleanField(default=False)
    deprecated_on = models.DateField(null=True, blank=True)  # the provider's announced last day
    by_hand = models.BooleanField(default=False)  # its prices are a person's: no sync takes them away
    hand_match = models.JSONField(null=True, blank=True)  # a match clause of a person's, beside the source's rules
    facts = models.JSONField(default=dict, blank=True)  # fact -> {"source", "seen", "by"}: where it is from
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


class HandPrice(models.Model):
    """Prices that a person gave a model, for a span of UTC days. They are part of a model's prices in price books."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="hand_prices")
    prices = models.JSONField()  # unit -> pico-USD per unit
    starts = models.DateField()
    ends = models.DateField(null=True, blank=True)  # the first day on which they hold no more
    source_url = models.URLField(max_length=500, blank=True)
    note = models.CharField(max_length=500, blank=True)
    created_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "starts"], name="one_hand_price_a_day"),
            models.CheckConstraint(
                condition=models.Q(ends=None) | models.Q(ends__gt=models.F("starts")), name="hand_price_ends_later"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} from {self.starts}"


class PriceSync(models.Model):
    """One comparison of a source with the catalogue: what it proposed, and what became of that."""

    class Status(models.TextChoices):
        NOTHING = "nothing", "Nothing changed"
        PUBLISHED = "published", "Published"
        WAITING = "waiting", "Waiting for a person"  # what is small was published; the rest waits
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        SUPERSEDED = "superseded", "Superseded"  # a later sync proposes something else
        FAILED = "failed", "Failed"

    source = models.CharField(max_length=64)
    source_version = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=16, choices=Status.choices)
    reason = models.TextField(blank=True)  # why it waits, or failed
    digest = models.CharField(max_length=64, blank=True)  # of the changes that wait: what an approval is bound to
    new_count = models.PositiveIntegerField(default=0)
    changed_count = models.PositiveIntegerField(default=0)
    gone_count = models.PositiveIntegerField(default=0)
    book = models.ForeignKey(PriceBook, on_delete=models.PROTECT, null=True, related_name="+")  # the one that it made
    at = models.DateTimeField()
    decided_by = models.CharField(max_length=64, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["-at"], name="price_sync_recent")]

    def __str__(self) -> str:
        return f"{self.source} {self.source_version}: {self.status}"


class PriceChange(models.Model):
    """What a sync proposes for one model."""

    class Kind(models.TextChoices):
        NEW = "new"
        CHANGED = "changed"
        GONE = "gone"
        CONFLICT = "conflict"  # a source lists what a person priced by hand
        RULES = "rules"  # of a provider: how its models are found; `model_id` is ""

    class Status(models.TextChoices):
        WAITING = "waiting"
        PUBLISHED = "published"
        REJECTED = "rejected"

    sync = models.ForeignKey(PriceSync, on_delete=models.CASCADE, related_name="changes")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    status = models.CharField(max_length=16, choices=Status.choices)
    provider_id = models.CharField(max_length=64)
    model_id = models.CharField(max_length=255, blank=True)
    before = models.JSONField(null=True)  # what the price book holds: a `ModelPrices`, or `ProviderRules`
    after = models.JSONField(null=True)  # what the source lists, without the history that is kept before it
    reason = models.CharField(max_length=300, blank=True)  # why it does not publish by itself
    source_url = models.URLField(max_length=500, blank=True)
    basis_points = models.IntegerField(null=True)  # the largest move of one figure: 1000 is 10 % dearer; None: from 0
    effective_from = models.DateField(null=True)  # the UTC day from which the new prices hold

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sync", "provider_id", "model_id", "kind"], name="change_once_per_sync")
        ]
        indexes = [models.Index(fields=["provider_id", "model_id"], name="price_change_by_model")]

    def __str__(self) -> str:
        return f"{self.kind} {self.provider_id}/{self.model_id}"


def new_override_id() -> str:
    """An id such as `o_4k2m9x0c1v7b`."""
    return short_id("o")


class Override(models.Model):
    """What a tenant is charged instead of the list price."""

    class Kind(models.TextChoices):
        ABSOLUTE = "absolute", "Prices of their own"
        PERCENT = "percent", "Percent of the list price"
        FREE = "free", "Free"

    class Status(models.TextChoices):
        ACTIVE = "active"
        ARCHIVED = "archived"

    id = models.CharField(primary_key=True, max_length=32, default=new_override_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    name = models.CharField(max_length=120)
    provider = models.CharField(max_length=64, default="*")  # with wildcards
    model = models.CharField(max_length=200, default="*")  # with wildcards
    kind = models.CharField(max_length=16, choices=Kind.choices)
    prices = models.JSONField(
        default=dict, blank=True
    )  # unit -> pico-USD per unit; units not named keep the list price
    basis_points = models.IntegerField(default=0)  # -1500: 15 % off; 500: 5 % on top; never below -10000
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    priority = models.IntegerField(default=0)  # the higher goes first; a project's own go before all others
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], condition=models.Q(status="active"), name="active_override_name_once"
            ),
            models.CheckConstraint(condition=models.Q(basis_points__gte=-10000), name="override_never_pays"),
        ]

    def __str__(self) -> str:
        return self.name


class OverrideBook(models.Model):
    """All overrides of a tenant at a version, as gateways are told them: past charges are explained by it."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField()
    rules = models.JSONField()  # a tuple of `wire.overrides.OverrideRule`, in the order in which they are tried
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "version"], name="override_version_once")]

    def __str__(self) -> str:
        return f"{self.tenant_id} overrides {self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ImmutableError("What was published as an override is never changed: add a new version.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise ImmutableError("What was published as an override is never deleted: past charges are explained by it.")


class CrossCheck(models.Model):
    """What came of comparing the price book with another public table of prices. The last one is shown."""

    table = models.CharField(max_length=200)  # what the file is called
    digest = models.CharField(max_length=64)  # SHA-256 of the file
    at = models.DateTimeField()
    version = models.PositiveIntegerField()  # of the price book
    result = models.JSONField()  # a `pricing.crosscheck.Result`

    class Meta:
        indexes = [models.Index(fields=["-at"], name="cross_check_recent")]

    def __str__(self) -> str:
        return f"{self.table} with price book {self.version}"


class ExchangeRate(models.Model):
    """A reference rate: so many units of a currency for one euro, on a day on which rates were published."""

    currency = models.CharField(max_length=3)
    day = models.DateField()
    rate_e8 = models.PositiveBigIntegerField()  # times 10 ** 8
    source = models.CharField(max_length=64)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["currency", "day"], name="one_rate_a_day")]

    def __str__(self) -> str:
        return f"{self.day} EUR 1 = {self.rate_e8} × 10⁻⁸ {self.currency}"


class Selection(models.Model):
    """The model that a tenant, or one of its projects, chose as its default for a tier and a use."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    use = models.CharField(max_length=32)  # chat, responses, embeddings …
    tier = models.CharField(max_length=16)  # bulk, standard or frontier
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=255)
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "project", "use", "tier"], nulls_distinct=False, name="selection_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.use} {self.tier}: {self.provider}/{self.model}"
