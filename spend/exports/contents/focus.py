"""FOCUS, the FinOps Open Cost and Usage Specification, versions 1.2 and 1.4: a row a day, API key, model, kind of unit
and price. PricingQuantity × ListUnitPrice is ListCost and PricingQuantity × ContractedUnitPrice is ContractedCost,
exactly; the sum of BilledCost is the charge that the pages show. docs/exports.md says what stands where.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from pricing.explain import NotExplainedError, model_prices
from pricing.queries_overrides import finder_of
from spend.exports.columns import Column, Row, Type
from spend.exports.contents.naming import Naming
from spend.exports.contents.totals import amiss
from spend.exports.wanted import Kind, Wanted
from spend.periods import each_day, month_end
from spend.queries.alike import AlikeUsage, alike_usage, used
from spend.what_if import lengths_of, turns_of
from spend.zones import calendar, moment_of
from tenants.models import ApiKey, Project, Tenant
from wire.cost import price_for
from wire.display import count
from wire.money import decimal_from_pico
from wire.overrides import OverrideKind, OverrideRule, Overrides
from wire.prices import ModelPrices, Price, Tiered, context_of
from wire.units import UNITS, Measure

ISSUER_ID, ISSUER = "spendops", "SpendOps"
CURRENCY = "USD"
_ADJUSTMENT = "adjustment"
_UNITS = {
    Measure.TOKEN: "Tokens",
    Measure.REQUEST: "Requests",
    Measure.SECOND: "Seconds",
    Measure.CHARACTER: "Characters",
    Measure.IMAGE: "Images",
    Measure.PAGE: "Pages",
    Measure.PIXEL: "Pixels",
    Measure.MESSAGE: "Messages",
    Measure.SEARCH: "Searches",
    Measure.EXECUTION: "Executions",
}
_AS_GIVEN = "as given"  # the kind of unit of amounts that no unit prices make up, such as those of an import
_KEYS_AT_ONCE = 500
_PRICING = "PricingCurrency"  # prices are quoted in what is billed

_MONEY = Type.EXACT
_COLUMNS = (
    Column("BilledCost", _MONEY, "What the tenant is charged.", summed=True),
    Column("BillingAccountId"),
    Column("BillingAccountName"),
    Column("BillingCurrency"),
    Column("BillingPeriodEnd", Type.MOMENT, "The end of the tenant's month."),
    Column("BillingPeriodStart", Type.MOMENT),
    Column("ChargeCategory"),
    Column("ChargeClass", note="Correction: an adjustment of a month that was sealed."),
    Column("ChargeDescription"),
    Column("ChargeFrequency"),
    Column("ChargePeriodEnd", Type.MOMENT, "The end of the tenant's day."),
    Column("ChargePeriodStart", Type.MOMENT),
    Column("ConsumedQuantity", _MONEY),
    Column("ConsumedUnit"),
    Column("ContractedCost", _MONEY, "By the prices with overrides.", summed=True),
    Column("ContractedUnitPrice", _MONEY),
    Column("EffectiveCost", _MONEY, "Nothing is paid beforehand: equal to BilledCost.", summed=True),
    Column("InvoiceId"),
    Column("InvoiceIssuerName"),
    Column("ListCost", _MONEY, "By the provider's list prices.", summed=True),
    Column("ListUnitPrice", _MONEY),
    Column("PricingCategory"),
    Column("PricingQuantity", _MONEY),
    Column("PricingUnit"),
    Column("ResourceId", note="The API key."),
    Column("ResourceName"),
    Column("ResourceType"),
    Column("ServiceCategory"),
    Column("ServiceName"),
    Column("ServiceSubcategory"),
    Column("SkuId"),
    Column("SkuMeter", note="The kind of unit."),
    Column("SkuPriceDetails"),
    Column("SkuPriceId", note="Provider, model, kind of unit, version of the price book, pico-USD per unit."),
    Column("SubAccountId", note="The tenant."),
    Column("SubAccountName"),
    Column("Tags", note="Those of the project and the API key."),
    Column("x_Environment"),
    Column("x_Model"),
    Column("x_OverrideId", note="The override that decided the price."),
    Column("x_ProjectId"),
    Column("x_ProjectName"),
    Column("x_Source", note="Where it was imported from; empty for calls through the gateway."),
    Column("x_Unpriced", note="true: no price is known, so it counts as nothing."),
)
_OF_VERSION = {
    Kind.FOCUS_1_2: (
        Column("CommitmentDiscountStatus"),
        Column("PricingCurrency"),
        Column("PricingCurrencyContractedUnitPrice", _MONEY),
        Column("PricingCurrencyEffectiveCost", _MONEY),
        Column("PricingCurrencyListUnitPrice", _MONEY),
        Column("ProviderName", note="Whoever bills the tenant for it."),
        Column("PublisherName", note="The provider of the model."),
    ),
    Kind.FOCUS_1_4: (
        Column("HostProviderName", note="The provider of the model."),
        Column("ServiceProviderName", note="Whoever bills the tenant for it."),
    ),
}


class _Sku(NamedTuple):
    """What makes one row: everything but the amounts."""

    key: str
    provider: str
    model: str
    unit: str
    listed: int  # pico-USD per unit
    charged: int
    project: str
    env: str
    service_tier: str
    price_version: int
    override: str
    source: str
    unpriced: bool


class _Sums:
    """The amounts of a row: units, or amounts that no unit prices make up."""

    __slots__ = ("calls", "charge", "cost", "units")

    def __init__(self) -> None:
        self.units = self.calls = self.cost = self.charge = 0

    def add(self, *, units: int = 0, calls: int = 0, cost: int, charge: int) -> None:
        self.units += units
        self.calls += calls
        self.cost += cost
        self.charge += charge


class FocusRows:
    """The rows of the Cost and Usage dataset."""

    def __init__(self, tenant: Tenant, wanted: Wanted) -> None:
        self._tenant, self._wanted = tenant, wanted
        self._calendar = calendar(wanted.slice.zone)
        self._naming = Naming(tenant.id)
        self._tags = _Tags(tenant.id)
        self._prices: dict[tuple[str, str, int], ModelPrices | None] = {}
        self._overrides: dict[int, Overrides | None] = {}
        own = _OF_VERSION[wanted.kind]
        self.columns: Sequence[Column] = sorted((*_COLUMNS, *own), key=lambda column: column.name)

    def total(self) -> int | None:
        return None

    def blocks(self) -> Iterator[tuple[date, Sequence[Row]]]:
        of = self._wanted.slice
        for day in each_day(of.first, of.last):
            rows: dict[_Sku, _Sums] = {}
            for each in self._alike(day):
                self._add(rows, each)
            self._naming.learn("key", (sku.key for sku in rows))
            self._tags.learn({sku.key for sku in rows})
            yield day, [self._row(day, sku, rows[sku]) for sku in sorted(rows)]

    def amiss(self, rows: int, sums: dict[str, Any]) -> str:
        return amiss(self._tenant.id, self._wanted.slice, charge=sums["BilledCost"])

    def _alike(self, day: date) -> list[AlikeUsage]:
        """The day's usage, put together between all boundaries of the prices and overrides that it refers to."""
        of = self._wanted.slice.on(day, day)
        begin, end = self._calendar.bounds(day)
        moments, lengths = {begin}, {0}
        for each in used(self._tenant.id, of):
            prices = self._prices_of(each.provider, each.model_priced, each.price_version)
            if prices is not None:
                moments |= turns_of(prices, begin, end)
                lengths |= lengths_of(prices)
            overrides = self._overrides_of(each.override_version)
            moments |= {at for rule in (overrides.rules if overrides else ()) for at in (rule.start, rule.end)}
        within = sorted(at for at in moments if begin <= at < end)
        return alike_usage(self._tenant.id, of, moments=within, lengths=sorted(lengths))

    def _prices_of(self, provider: str, model: str, version: int) -> ModelPrices | None:
        name = provider, model, version
        if name not in self._prices:
            try:
                self._prices[name] = model_prices(provider=provider, model_priced=model, price_version=version)
            except NotExplainedError:
                self._prices[name] = None
        return self._prices[name]

    def _overrides_of(self, version: int) -> Overrides | None:
        if version not in self._overrides:
            self._overrides[version] = finder_of(self._tenant.id, version)
        return self._overrides[version]

    def _add(self, rows: dict[_Sku, _Sums], each: AlikeUsage) -> None:
        """Put usage that is alike onto its rows: one a unit where unit prices make its amounts up, else as given."""
        listed, rule = self._listed(each), self._rule(each)
        charged = rule.priced(listed or {}) if rule is not None else listed or {}
        priced = each.cost is not None or each.charge is not None
        lines = [
            (unit, used, *_two(unit, listed or {}, charged, rule, each)) for unit, used in each.units.items() if used
        ]
        cost, charge = each.cost or 0, each.charge or 0
        made_up = sum(used * price for _, used, _, price in lines) == charge and (
            each.cost is None or sum(used * price for _, used, price, _ in lines) == cost
        )
        if each.kind == _ADJUSTMENT or not made_up:
            if cost or charge or (each.units and not priced):
                unit = _ADJUSTMENT if each.kind == _ADJUSTMENT else _AS_GIVEN
                sku = self._sku(each, unit, 0, 0, rule, unpriced=not priced)
                rows.setdefault(sku, _Sums()).add(calls=each.calls, cost=cost, charge=charge)
            return
        for unit, used_units, list_price, price in lines:
            sku = self._sku(each, unit, list_price, price, rule, unpriced=not priced)
            amounts = {"cost": used_units * list_price, "charge": used_units * price}
            rows.setdefault(sku, _Sums()).add(units=used_units, **amounts)

    def _listed(self, each: AlikeUsage) -> dict[str, Price] | None:
        prices = self._prices_of(each.provider, each.model_priced, each.price_version)
        if prices is None:
            return None
        held = prices.at(moment_of(each.since), context_of(each.service_tier))
        return {unit: price.at(each.context) if isinstance(price, Tiered) else price for unit, price in held.items()}

    def _rule(self, each: AlikeUsage) -> OverrideRule | None:
        overrides = self._overrides_of(each.override_version)
        if overrides is None:
            return None
        return overrides.rule_for(
            provider=each.provider,
            model=each.model_priced or each.model_asked,
            project=each.project,
            at_ms=each.since,
        )

    @staticmethod
    def _sku(
        each: AlikeUsage, unit: str, listed: int, charged: int, rule: OverrideRule | None, *, unpriced: bool
    ) -> _Sku:
        return _Sku(
            each.key,
            each.provider,
            each.model_priced or each.model_asked,
            unit,
            listed,
            charged,
            each.project,
            each.env,
            each.service_tier,
            each.price_version,
            rule.id if rule is not None else "",
            each.source,
            unpriced,
        )

    def _row(self, day: date, sku: _Sku, sums: _Sums) -> Row:
        begin, end = (moment_of(ms) for ms in self._calendar.bounds(day))
        month = day.replace(day=1)
        period = [moment_of(ms) for ms in self._calendar.bounds(month, month_end(month))]
        said = _identity(sku, sums) | _amounts(sku, sums) | self._whose(sku) | _period(begin, end, period)
        said |= {
            f"{_PRICING}{name}": said.get(name) for name in ("ContractedUnitPrice", "EffectiveCost", "ListUnitPrice")
        }
        return [said.get(column.name) for column in self.columns]

    def _whose(self, sku: _Sku) -> dict[str, Any]:
        tags = self._tags.of(sku.project, sku.key)
        return {
            "BillingAccountId": ISSUER_ID,
            "BillingAccountName": ISSUER,
            "InvoiceIssuerName": ISSUER,
            "SubAccountId": self._tenant.id,
            "SubAccountName": self._tenant.name,
            "ResourceId": sku.key or None,
            "ResourceName": (self._naming.name("key", sku.key) or sku.key) if sku.key else None,
            "ResourceType": "API Key" if sku.key else None,
            "Tags": json.dumps(tags, ensure_ascii=False, sort_keys=True),
            "x_ProjectId": sku.project,
            "x_ProjectName": self._naming.name("project", sku.project),
        }


class _Tags:
    """The tags of projects and keys, looked up once each."""

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._projects = dict(Project.objects.filter(tenant=tenant_id).values_list("id", "tags"))
        self._keys: dict[str, dict[str, str]] = {}

    def learn(self, keys: set[str]) -> None:
        new = sorted(keys - self._keys.keys())
        for begin in range(0, len(new), _KEYS_AT_ONCE):
            some = new[begin : begin + _KEYS_AT_ONCE]
            found = dict(ApiKey.objects.filter(tenant=self._tenant_id, id__in=some).values_list("id", "tags"))
            self._keys |= {key: found.get(key, {}) for key in some}

    def of(self, project: str, key: str) -> dict[str, str]:
        """A key's own tags go before those of its project."""
        return self._projects.get(project, {}) | self._keys.get(key, {})


def _two(
    unit: str, listed: dict[str, Price], charged: dict[str, Price], rule: OverrideRule | None, each: AlikeUsage
) -> tuple[int, int]:
    """A unit's list price and the price that is charged, in pico-USD. What has no list price is listed as charged."""
    price = _pico(unit, charged) if each.charge is not None else 0
    if rule is not None and rule.kind is OverrideKind.FREE:
        price = 0
    list_price = _pico(unit, listed) if each.cost is not None else price
    return list_price, price


def _pico(unit: str, prices: dict[str, Price]) -> int:
    found = price_for(unit, prices)
    return found[1] if found is not None and isinstance(found[1], int) else 0


def _period(begin: datetime, end: datetime, month: Sequence[datetime]) -> dict[str, Any]:
    return {
        "ChargePeriodStart": begin,
        "ChargePeriodEnd": end,
        "BillingPeriodStart": month[0],
        "BillingPeriodEnd": month[1],
        "BillingCurrency": CURRENCY,
        _PRICING: CURRENCY,
    }


def _identity(sku: _Sku, sums: _Sums) -> dict[str, Any]:
    """What was used, and from whom."""
    provider = sku.provider or "unknown"
    name = f"{provider}/{sku.model or 'unknown'}"
    said: dict[str, Any] = {
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ServiceName": provider,
        "ProviderName": ISSUER,
        "PublisherName": provider,
        "ServiceProviderName": ISSUER,
        "HostProviderName": provider,
        "ChargeFrequency": "Usage-Based",
        "x_Environment": sku.env,
        "x_Model": sku.model,
        "x_OverrideId": sku.override or None,
        "x_Source": sku.source or None,
        "x_Unpriced": "true" if sku.unpriced else "false",
    }
    if sku.unit == _ADJUSTMENT:
        return said
    details = {"x_PriceVersion": str(sku.price_version)}
    if sku.service_tier:
        details["x_ServiceTier"] = sku.service_tier
    price = f"{sku.price_version}/{sku.listed}" if sku.unit in UNITS else f"as-given/{sums.cost}"
    return said | {
        "SkuId": f"{name}/{sku.unit}",
        "SkuMeter": _label(sku.unit),
        "SkuPriceId": f"{name}/{sku.unit}/{price}",
        "SkuPriceDetails": json.dumps(details),
        "PricingCategory": "Standard",
    }


def _amounts(sku: _Sku, sums: _Sums) -> dict[str, Any]:
    cost, charge = decimal_from_pico(sums.cost), decimal_from_pico(sums.charge)
    what = f"{sku.provider or 'unknown provider'} {sku.model or 'unknown model'}"
    said: dict[str, Any] = {
        "BilledCost": charge,
        "EffectiveCost": charge,
        "ContractedCost": charge,
        "ListCost": cost,
        "ChargeCategory": "Usage",
    }
    if sku.unit == _ADJUSTMENT:
        text = f"Adjustment of usage of {what} in a month that was sealed"
        return said | {"ChargeClass": "Correction", "ChargeDescription": text}
    if sku.unit == _AS_GIVEN:
        return said | _given(sku, sums, what)
    measure = UNITS[sku.unit].measure if sku.unit in UNITS else None
    unit = _UNITS[measure] if measure is not None else "Units"
    text = f"{count(sums.units)} {_label(sku.unit)} of {what}"
    return said | {
        "PricingQuantity": Decimal(sums.units),
        "PricingUnit": unit,
        "ConsumedQuantity": Decimal(sums.units),
        "ConsumedUnit": unit,
        "ListUnitPrice": decimal_from_pico(sku.listed),
        "ContractedUnitPrice": decimal_from_pico(sku.charged),
        "ChargeDescription": f"Unpriced: {text}; no price is known, so it counts as nothing" if sku.unpriced else text,
    }


def _given(sku: _Sku, sums: _Sums, what: str) -> dict[str, Any]:
    """Amounts that no unit prices make up: one unit at that price, or below nothing an adjustment."""
    text = f"Usage of {what}{f' from {sku.source}' if sku.source else ''}, with the amount as it was given"
    if sums.cost < 0 or sums.charge < 0:
        return {
            "ChargeCategory": "Adjustment",
            "ChargeDescription": text,
            "ListCost": decimal_from_pico(sums.charge),
            "PricingCategory": None,
            "SkuId": None,
            "SkuMeter": None,
            "SkuPriceId": None,
            "SkuPriceDetails": None,
        }
    return {
        "PricingQuantity": Decimal(1),
        "PricingUnit": "Units",
        "ConsumedQuantity": Decimal(sums.calls),
        "ConsumedUnit": "Requests",
        "ListUnitPrice": decimal_from_pico(sums.cost),
        "ContractedUnitPrice": decimal_from_pico(sums.charge),
        "ChargeDescription": text,
    }


def _label(unit: str) -> str:
    return UNITS[unit].label if unit in UNITS else unit
