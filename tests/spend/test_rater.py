"""What a gateway wrote stays as it is when it is priced anew by the very prices and overrides that it was priced by."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.apis.base import Reading
from gateway.meter import meter
from gateway.tenantprices import LIST_PRICES, Terms
from spend.queries.rerating import PastEvent
from spend.rerating.price import Rater
from tests.pricing.test_overrides_naive import calls, model_prices, rules
from tests.spend.events import usage
from wire.documents import SCHEMA
from wire.events import UsageSource
from wire.overrides import Overrides, TenantPricing
from wire.prices import ModelPrices, PriceBook, PricingBlob, ProviderRules, tier_named

MODELS = ("m", "M-2", "m.3")
NAMES = st.sampled_from([*MODELS, "m-2", "alias-of-m", "nobody's", ""])
CLAUSES = st.sampled_from([{"equals": "m"}, {"starts_with": "m"}, {"equals": "alias-of-m"}, {"contains": "2"}])
RULES = st.lists(st.tuples(CLAUSES, st.sampled_from(MODELS)), max_size=3).map(tuple)
PRICES = st.fixed_dictionaries(dict.fromkeys(MODELS, model_prices))


def book_of(own: tuple, lent: tuple, prices: dict[str, ModelPrices], lent_prices: dict[str, ModelPrices]) -> PriceBook:
    providers = {"acme": ProviderRules(own, fallbacks=("lender",)), "lender": ProviderRules(lent)}
    return PriceBook(PricingBlob(SCHEMA, 1, "dev", 4, "test", {"acme": prices, "lender": lent_prices}, providers))


def as_stored(found: Any, call: dict[str, Any], asked: str, reading: Reading) -> PastEvent:
    """The event as `gateway.calls.recording` writes it and as ClickHouse gives it back."""
    written = usage(
        provider="acme",
        project=call["project"],
        ts=call["at_ms"],
        model_asked=asked,
        model_priced=found.model_priced,
        units=call["units"],
        cost=found.cost,
        charge=found.charge,
        price_version=found.price_version,
        override_version=found.override_version,
        service_tier=tier_named(reading.service_tier, reading.speed),
    )
    return PastEvent(*(getattr(written, name) for name in PastEvent._fields))


@settings(max_examples=150, deadline=None)
@given(
    own=RULES,
    lent=RULES,
    prices=PRICES,
    lent_prices=PRICES,
    overrides=st.none() | st.lists(rules(), max_size=4).map(tuple),
    call=calls(),
    asked=NAMES.filter(bool),
    answered=NAMES,
    routed=st.booleans(),
    speed=st.sampled_from(["", "fast"]),
)
def test_pricing_anew_by_the_same_prices_changes_nothing(
    own, lent, prices, lent_prices, overrides, call, asked, answered, routed, speed
):
    book = book_of(own, lent, prices, lent_prices)
    finder = Overrides(TenantPricing(schema=SCHEMA, rev=1, env="", tenant="t", version=2, rules=overrides or ()))
    reading = Reading(model=answered, service_tier=call["tier"], speed=speed)
    found = meter(
        book,
        provider="acme",
        asked=asked,
        reading=reading,
        units=call["units"],
        source=UsageSource.PROVIDER,
        at_ms=call["at_ms"],
        routed=routed,
        terms=LIST_PRICES if overrides is None else Terms(finder),
        project=call["project"],
    )
    rater = Rater(book, lambda version: book if version == book.version else None)
    before, after = rater.rate(as_stored(found, call, asked, reading), finder)
    assert after == before
