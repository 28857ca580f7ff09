"""Cost and charge, reckoned three times: by the gateway, by the explanation, and naively from the definitions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.apis.base import Reading
from gateway.meter import meter
from gateway.tenantprices import LIST_PRICES, Terms
from pricing.actions.sync import sync_prices
from pricing.explain import NotExplainedError, explain, explain_charge
from pricing.models import ModelPrice, OverrideBook
from pricing.override_rules import basis_points_from_text, percent_text, price_text, prices_from_text
from pricing.queries_overrides import newest_version
from pricing.render import pricing_blob
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests.pricing.catalogues import catalogue, listed, provider
from tests.pricing.conftest import SYNC, Given
from tests.tenants.making import make_tenant
from wire.documents import SCHEMA
from wire.events import UsageSource
from wire.money import pico_from_usd_string
from wire.overrides import OverrideKind, OverrideRule, Overrides, TenantPricing, fits
from wire.prices import ModelPrices, Price, PriceBook, PricePeriod, PriceVariant, Tiered
from wire.units import INPUT_TOKENS, OPTIONAL, UNITS

UNIT_NAMES = ("requests", "input", "output", "cache_read", "cache_write_1h", "reasoning", "audio_in", "web_searches")
PRICED = ("input", "output", "cache_read", "cache_write", "audio_in", "reasoning", "requests", "web_searches")
MODELS = ("m", "M-2", "m.3")
DAY = 86_400_000
START = 1_700_000_000_000 // DAY * DAY

amounts = st.integers(0, 10**13)
tiered = st.builds(
    lambda base, tiers: Tiered(base, tuple(sorted(tiers.items()))),
    amounts,
    st.dictionaries(st.integers(0, 2_000), amounts, min_size=1, max_size=3),
)
prices = st.dictionaries(st.sampled_from(PRICED), amounts | tiered, max_size=5)
days = st.integers(-3, 3).map(lambda n: datetime.fromtimestamp(START / 1000 + n * 86_400, UTC).date())
hours = st.sampled_from([None, (time(1), time(9)), (time(22), time(3))])
periods = st.lists(
    st.builds(lambda prices, start, hours: PricePeriod(prices, start, hours), prices, st.none() | days, hours),
    min_size=1,
    max_size=3,
).map(tuple)
variants = st.lists(
    st.builds(lambda prices, start: PriceVariant({"service_tier": "flex"}, prices, start), prices, st.none() | days),
    max_size=2,
).map(tuple)
model_prices = st.builds(lambda periods, variants: ModelPrices(periods, variants), periods, variants)
moments = st.integers(START - 4 * DAY, START + 4 * DAY)
edges = st.sampled_from([START - 1, START, START + 1, START + DAY - 1, START + DAY])
patterns = st.sampled_from(["*", "m", "M-2", "m*", "*2", "m*3", "*.*", "other", "a*e", "acm[e]", "acme", "?", "m?3"])


@st.composite
def rules(draw: st.DrawFn) -> OverrideRule:
    kind = draw(st.sampled_from(list(OverrideKind)))
    start = draw(st.sampled_from([0, START - DAY, START, START + 1]))
    end = draw(st.sampled_from([0, START, START + 1, START + DAY]).filter(lambda end: not end or end > start))
    return OverrideRule(
        id=draw(st.sampled_from(["o_1", "o_2", "o_3"])),
        kind=kind,
        provider=draw(patterns),
        model=draw(patterns),
        project=draw(st.sampled_from(["", "", "p_1", "p_2"])),
        prices=draw(st.dictionaries(st.sampled_from(PRICED), amounts, min_size=1)) if kind == "absolute" else {},
        basis_points=draw(st.integers(-10_000, 100_000)) if kind == "percent" else 0,
        start=start,
        end=end,
    )


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "model": draw(st.sampled_from([*MODELS, "m-2", "unlisted-3", "other"])),
        "project": draw(st.sampled_from(["p_1", "p_2", "p_3"])),
        "units": draw(st.dictionaries(st.sampled_from(UNIT_NAMES), st.integers(0, 3_000), max_size=5)),
        "at_ms": draw(moments | edges),
        "tier": draw(st.sampled_from(["", "flex"])),
    }


# -- the naive reckoning: as the documents define it, with fractions and without any of the product's functions ------


def naive_match(pattern: str, text: str) -> bool:
    """By trying every split: `*` is any text."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive_match(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] == text[0] and naive_match(pattern[1:], text[1:])


def naive_rule(book: list[OverrideRule], call: dict[str, Any], model: str) -> OverrideRule | None:
    for rule in book:
        if (
            naive_match(rule.provider.lower(), "acme")
            and naive_match(rule.model.lower(), model.lower())
            and rule.project in ("", call["project"])
            and rule.start <= call["at_ms"]
            and (rule.end == 0 or call["at_ms"] < rule.end)
        ):
            return rule
    return None


def naive_prices(of: ModelPrices, call: dict[str, Any]) -> dict[str, Price]:
    at = datetime.fromtimestamp(call["at_ms"] / 1000, UTC)

    def holds(start: date | None, hours: tuple[time, time] | None) -> bool:
        if start and at.date() < start:
            return False
        if not hours:
            return True
        begin, end = hours
        inside = (at.time() >= begin, at.time() < end)
        return all(inside) if begin <= end else any(inside)

    active = [period for period in of.periods if holds(period.start, period.hours)]
    found = dict((active or of.periods[:1])[-1].prices)
    taken: set[str] = set()
    for variant in of.variants:
        if call["tier"] == "flex" and holds(variant.start, variant.hours):
            found |= {unit: price for unit, price in variant.prices.items() if unit not in taken}
            taken |= variant.prices.keys()
    return found


def half_even(value: Fraction) -> int:
    return round(value)  # of a Fraction: to the nearest integer, and of two as near the even one


def naive_unit_price(unit: str, prices: dict[str, Price], context: int) -> int | None:
    for name in (unit, *UNITS[unit].fallbacks):
        if name in prices:
            price = prices[name]
            if isinstance(price, int):
                return price
            return next((amount for start, amount in reversed(price.tiers) if context > start), price.base)
    return None


def naive_sum(units: dict[str, int], price_of: Callable[[str], int | None]) -> Fraction | None:
    total = Fraction(0)
    for unit, count in units.items():
        price = price_of(unit) if count else 0
        if price is None and unit in OPTIONAL:
            continue
        if price is None:
            return None
        total += Fraction(count) * price
    return total


def naive(of: ModelPrices | None, book: list[OverrideRule], call: dict[str, Any], model: str) -> tuple[Any, Any]:
    units = call["units"]
    context = sum(count for unit, count in units.items() if unit in INPUT_TOKENS)
    listed_prices = naive_prices(of, call) if of else {}

    def list_price(unit: str) -> int | None:
        return naive_unit_price(unit, listed_prices, context)

    cost = (naive_sum(units, list_price) if of else None) if units else Fraction(0)
    rule = naive_rule(book, call, model)
    if rule is None:
        return cost, cost
    if rule.kind == "free" or not units:
        return cost, Fraction(0)
    if rule.kind == "absolute":
        changed = {**listed_prices, **rule.prices}
        return cost, naive_sum(units, lambda unit: naive_unit_price(unit, changed, context))
    if of is None:
        return cost, None

    def moved(unit: str) -> int | None:
        price = list_price(unit)
        return None if price is None else half_even(Fraction(price) * (10_000 + rule.basis_points) / 10_000)

    return cost, naive_sum(units, moved)


# -- the three ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def world(db) -> Tenant:
    models = [listed(name, input=1) for name in MODELS]
    sync_prices(Given(catalogue(provider("acme", *models))), by=SYNC)
    return make_tenant()


def put(tenant: Tenant, of: dict[str, ModelPrices], book: list[OverrideRule]) -> int:
    """Prices and rules as if they had been published; the rows are replaced behind the product's back."""
    for name, prices_of_model in of.items():
        ModelPrice.objects.filter(model__model_id=name).update(prices=msgspec.to_builtins(prices_of_model))
    with tenant_scope(tenant.id):
        version = newest_version(tenant.id) + 1
        OverrideBook.objects.create(tenant=tenant, version=version, rules=msgspec.to_builtins(book))
    return version


def metered(book: PriceBook, terms: Terms, call: dict[str, Any]) -> Any:
    return meter(
        book,
        provider="acme",
        asked=call["model"],
        reading=Reading(service_tier=call["tier"]),
        units=call["units"],
        source=UsageSource.PROVIDER,
        at_ms=call["at_ms"],
        terms=terms,
        project=call["project"],
    )


def pico(text: str | None) -> int | None:
    return None if text is None else pico_from_usd_string(text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    of=st.fixed_dictionaries(dict.fromkeys(MODELS, model_prices)),
    book=st.lists(rules(), max_size=5),
    asked=st.lists(calls(), min_size=1, max_size=6),
)
def test_gateway_explanation_and_hand_come_to_the_same(world, of, book, asked):
    version = put(world, of, book)
    price_book = PriceBook(pricing_blob(env="dev", rev=1))
    document = TenantPricing(schema=SCHEMA, rev=1, env="dev", tenant=world.id, version=version, rules=tuple(book))
    sent = msgspec.json.decode(msgspec.json.encode(document), type=TenantPricing)
    terms = Terms(Overrides(sent))
    for call in asked:
        found = metered(price_book, terms, call)
        model = found.model_priced or call["model"]
        cost, charge = naive(of.get(found.model_priced), book, call, model)
        assert (pico(found.cost), pico(found.charge)) == (cost, charge)
        assert found.override_version == version
        event = {
            "provider": "acme",
            "model_priced": found.model_priced,
            "price_version": found.price_version,
            "ts_ms": call["at_ms"],
            "units": call["units"],
            "service_tier": call["tier"],
        }
        of_tenant = {"tenant_id": world.id, "project": call["project"], "model_asked": call["model"]}
        rule = naive_rule(book, call, model)
        if found.model_priced:
            assert explain(**event).total == cost
        if found.model_priced or rule is not None:
            explained = explain_charge(**event, **of_tenant, override_version=version)
            assert explained.total == charge
            assert (explained.override and explained.override.id) == (rule and rule.id)
            if charge is not None:
                assert sum(line.count * line.price for line in explained.lines) == charge
        else:
            with pytest.raises(NotExplainedError, match="no price was known"):
                explain_charge(**event, **of_tenant, override_version=version)
        alike = metered(price_book, LIST_PRICES, call)
        assert alike.charge == alike.cost == found.cost


@given(price=st.integers(0, 10**13), basis_points=st.integers(-10_000, 100_000))
@example(price=1, basis_points=-5_000)
@example(price=3, basis_points=-5_000)
@example(price=5, basis_points=5_000)
def test_a_percentage_is_rounded_once_for_each_unit_price_half_to_even(price, basis_points):
    rule = OverrideRule(id="o", kind=OverrideKind.PERCENT, basis_points=basis_points)
    moved = rule.priced({"input": price, "output": Tiered(price, ((10, price),))})
    right = half_even(Fraction(price * (10_000 + basis_points), 10_000))
    assert moved == {"input": right, "output": Tiered(right, ((10, right),))}


SIGNS = "abC*[]?!^-\\./:&é"


@settings(max_examples=600)
@given(pattern=st.text(SIGNS, max_size=7), text=st.text(SIGNS.replace("*", ""), max_size=9))
@example(pattern="a*a", text="a")
@example(pattern="*ab*ab*", text="ab")
@example(pattern="[a-c]", text="b")
def test_only_the_star_is_a_wildcard(pattern, text):
    assert fits(pattern)(text.lower()) is naive_match(pattern.lower(), text.lower())


@given(basis_points=st.integers(-10_000, 100_000))
def test_a_percentage_is_read_as_it_is_written(basis_points):
    assert basis_points_from_text(percent_text(basis_points)) == basis_points
    assert basis_points_from_text(f"{percent_text(basis_points)} %") == basis_points


@given(price=st.integers(0, 10**10), unit=st.sampled_from(list(UNITS)))
def test_a_price_is_read_as_it_is_written(price, unit):
    assert prices_from_text({unit: price_text(unit, price)}) == {unit: price}
