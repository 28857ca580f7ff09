"""What the last 30 days would have come to: held against every call priced one by one, as the gateway does."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

import pytest

from changes.actor import Actor
from pricing.actions.overrides import create_override
from pricing.actions.sync import sync_prices
from pricing.changeset import CHANGED, GONE, NEW, RULES, Change
from pricing.override_rules import OverrideSettings
from pricing.queries_overrides import finder_of, newest_version, rules_with
from pricing.render import NoPricesError, pricing_blob
from spend.ingest import store_usage
from spend.what_if import DAYS, WhatIf, total, with_changes, with_rules
from tenants.actions.projects import create_project
from tenants.scope import tenant_scope
from tests.pricing.catalogues import catalogue, listed, provider
from tests.pricing.conftest import Given
from tests.spend.conftest import tenant
from tests.spend.events import TENANT, usage
from wire.cost import cost_of
from wire.events import UsageEvent
from wire.money import pico_from_usd_string, usd_string
from wire.overrides import Overrides, TenantPricing, charge_of
from wire.prices import ModelPrices, PriceBook, PricePeriod, PriceVariant, ProviderRules, Tiered, context_of

BY = Actor.system("test")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TIERED = Tiered(1_250_000, ((1_000, 2_500_000), (5_000, 3_333_333)))
MODELS = ("small", "long", "nightly", "image-only", "unheard-of")

pytestmark = pytest.mark.usefixtures("queues", "clickhouse")


@pytest.fixture
def prices(db) -> PriceBook:
    """Prices of every kind: plain, by the length of the context, by the hour and the day, in a tier of service."""
    nightly = ModelPrices(
        (
            PricePeriod({"input": 400, "output": 1_600}),
            PricePeriod({"input": 100, "output": 401}, hours=(time(16, 30), time(0, 30))),
            PricePeriod({"input": 77, "output": 303, "cache_read": 7}, start=date(2026, 11, 9)),
        )
    )
    flex = PriceVariant({"service_tier": "flex"}, {"input": 75_001}, start=date(2026, 11, 3), until=date(2026, 11, 15))
    models = (
        listed("small", input=150_000, output=600_000, variants=(flex,)),
        listed("long", input=TIERED, output=Tiered(10_000_000, ((1_000, 15_000_001),)), cache_read=125_000),
        listed("nightly"),
        listed("image-only", images=40_000_000_000),
    )
    acme = provider(
        "acme", *(each if each.id != "nightly" else each.__class__(**_fields(each, nightly)) for each in models)
    )
    lender = provider("lender", listed("own", input=9), fallbacks=("acme",))
    sync_prices(Given(catalogue(acme, lender)), by=BY)
    return PriceBook(pricing_blob(env="dev", rev=1))


def _fields(model, prices: ModelPrices) -> dict:
    return {name: getattr(model, name) for name in model.__struct_fields__} | {"prices": prices}


def calls(
    prices: PriceBook, overrides: Overrides | None = None, *, who: str = TENANT, number: int = 400
) -> list[UsageEvent]:
    """Calls of everything, within the window and before it, as a gateway charges them."""
    dice = random.Random(f"{who} {number}")
    found = []
    for each in range(number):
        at = NOW - timedelta(seconds=dice.randrange(1, (DAYS + 2) * 86_400))
        units = {"input": dice.randrange(1, 8_000), "output": dice.randrange(900), "cache_read": dice.randrange(50)}
        units = dice.choice([units, units, {"input": units["input"]}, {"input": 0}, {}, {"images": 2}])
        event = usage(
            each,
            at,
            tenant=who,
            project=dice.choice(["p_one", "p_two"]),
            env=dice.choice(["dev", "prod"]),
            provider=dice.choice(["acme", "acme", "lender"]),
            model_asked=dice.choice(MODELS),
            model_priced="",
            units=units,
            service_tier=dice.choice(["", "", "flex"]),
        )
        match = prices.find(event.provider, event.model_asked)
        cost, charge = amounts(prices, overrides, event)
        found.append(
            event.__class__(
                **{name: getattr(event, name) for name in event.__struct_fields__}
                | {
                    "model_priced": match.priced_as if match else "",
                    "cost": None if cost is None else usd_string(cost),
                    "charge": None if charge is None else usd_string(charge),
                }
            )
        )
    store_usage(found)
    return found


def amounts(book: PriceBook, overrides: Overrides | None, event: UsageEvent) -> tuple[int | None, int | None]:
    """Cost and charge of one call, the plain way."""
    match = book.find(event.provider, event.model_asked)
    at = datetime.fromtimestamp(event.ts / 1000, UTC)
    held = match.prices.at(at, context_of(event.service_tier)) if match else None
    cost = 0 if not event.units else None if held is None else cost_of(event.units, held).total
    model = match.priced_as if match else event.model_asked
    rule = (
        overrides.rule_for(provider=event.provider, model=model, project=event.project, at_ms=event.ts)
        if overrides
        else None
    )
    return cost, charge_of(event.units, held, rule, cost=cost)


def within(events: Iterable[UsageEvent]) -> list[UsageEvent]:
    begin = (NOW - timedelta(days=DAYS)).timestamp() * 1000
    return [event for event in events if begin <= event.ts < NOW.timestamp() * 1000]


def stored(events: Iterable[UsageEvent]) -> int:
    return sum(pico_from_usd_string(event.charge) for event in events if event.charge)


def held_against(answer: WhatIf, events: list[UsageEvent], book: PriceBook, overrides: Overrides | None) -> None:
    """The sum of all calls, of which every one is priced anew by itself."""
    charges = [amounts(book, overrides, event)[1] for event in events]
    assert answer.calls == len(events)
    assert answer.charge == stored(events)
    assert answer.after == sum(charge for charge in charges if charge is not None)
    together = total(answer.lines)
    unpriced = sum(charge is None for charge in charges)
    assert answer.unpriced - together.unpriced_before + together.unpriced_after == unpriced


def finder(rules) -> Overrides:
    return Overrides(TenantPricing(schema=1, rev=0, env="", tenant=TENANT, version=0, rules=tuple(rules)))


def settings(**fields) -> OverrideSettings:
    return OverrideSettings(**({"name": "New", "kind": "percent", "basis_points": -1_500, "starts_at": NOW} | fields))


@pytest.mark.parametrize(
    "wanted",
    [
        settings(),
        settings(basis_points=333, model="l*"),
        settings(kind="free", basis_points=0, provider="lender"),
        settings(kind="absolute", basis_points=0, prices={"input": 17, "images": 3}, model="*i*"),
        settings(kind="absolute", basis_points=0, prices={"input": 5, "output": 3, "cache_read": 1}, model="unheard*"),
    ],
    ids=["everything", "dearer", "free", "own prices", "of a model without a price"],
)
def test_an_override_comes_to_what_all_calls_come_to_one_by_one(prices, wanted):
    ours = tenant(TENANT)
    events = within(calls(prices))
    rules = rules_with(ours.id, wanted.clean())
    answer = with_rules(ours.id, rules, now=NOW)
    held_against(answer, events, prices, finder(rules))
    concerned = [e for e in events if finder(rules).rule_for(**_asked(prices, e))]
    assert answer.concerned.calls == len(concerned) > 0
    assert answer.concerned.before == answer.concerned.held == stored(concerned)


def _asked(prices: PriceBook, event: UsageEvent) -> dict:
    match = prices.find(event.provider, event.model_asked)
    model = match.priced_as if match else event.model_asked
    return {"provider": event.provider, "model": model, "project": event.project, "at_ms": event.ts}


def test_rules_that_begin_and_end_within_the_days_keep_their_times(prices):
    ours = tenant(TENANT)
    with tenant_scope(ours.id):
        project = create_project(tenant=ours, name="One", by=BY)
    began, ended = NOW - timedelta(days=12, hours=3, milliseconds=1), NOW - timedelta(days=4)
    for name, fields in {
        "spring": {"starts_at": began, "ends_at": ended, "basis_points": -2_000, "priority": 5},
        "small ones": {"starts_at": ended, "model": "small", "kind": "free", "basis_points": 0},
        "ours": {"starts_at": began, "project": project.id, "basis_points": 700},
    }.items():
        create_override(tenant=ours, wanted=settings(name=name, **fields), by=BY)
    held = finder_of(ours.id, newest_version(ours.id))
    events = within(calls(prices, held))
    wanted = settings(name="under all of them", basis_points=-1, priority=-1)
    rules = rules_with(ours.id, wanted.clean())
    answer = with_rules(ours.id, rules, now=NOW)
    held_against(answer, events, prices, finder(rules))
    assert 0 < answer.concerned.calls < len(events)  # where another rule stands before it, nothing is different
    assert {line.project for line in answer.lines} == {"p_one", "p_two"}


def test_an_override_can_be_thought_away_or_otherwise(prices):
    ours = tenant(TENANT)
    row = create_override(tenant=ours, wanted=settings(starts_at=NOW - timedelta(days=99)), by=BY)
    events = within(calls(prices, finder_of(ours.id, 1)))
    away = with_rules(ours.id, rules_with(ours.id, None, instead_of=row), now=NOW)
    held_against(away, events, prices, None)
    assert away.after > away.charge
    same = with_rules(ours.id, rules_with(ours.id, settings(basis_points=-3_000).clean(), instead_of=row), now=NOW)
    held_against(
        same, events, prices, finder(rules_with(ours.id, settings(basis_points=-3_000).clean(), instead_of=row))
    )


def test_what_other_calls_cost_is_left_alone(prices):
    """A price that moved since is not the override's doing: it is told apart, and other calls are not priced anew."""
    ours = tenant(TENANT)
    store_usage([usage(1, NOW - timedelta(days=1), provider="acme", model_asked=m, model_priced=m) for m in ("small",)])
    store_usage(
        [
            usage(
                2,
                NOW - timedelta(days=1),
                provider="acme",
                model_asked="long",
                model_priced="long",
                cost="9",
                charge="9",
            )
        ]
    )
    answer = with_rules(ours.id, rules_with(ours.id, settings(model="long").clean()), now=NOW)
    (line,) = answer.lines
    assert (line.model, line.calls, line.before) == ("long", 1, 9 * 10**12)
    assert line.held == 21 * 1_250_000 + 64 * 10_000_000
    assert line.after == 21 * 1_062_500 + 64 * 8_500_000
    assert answer.after == 41_550_000 + line.after


def test_changes_of_a_sync_for_every_tenant_and_for_one(prices):
    for name in (TENANT, "t_other00001"):
        tenant(name)
    create_override(tenant=tenant("t_third00001"), wanted=settings(starts_at=NOW - timedelta(days=99)), by=BY)
    third = finder_of("t_third00001", 1)
    by_tenant = {
        TENANT: within(calls(prices)),
        "t_other00001": within(calls(prices, who="t_other00001", number=200)),
        "t_third00001": within(calls(prices, third, who="t_third00001", number=200)),
    }
    models = prices.blob.models["acme"]
    dearer = ModelPrices((PricePeriod({"input": Tiered(2_000_000, ((3_000, 4_000_000),)), "output": 11_000_000}),))
    new = ModelPrices((PricePeriod({"input": 5, "output": 7, "cache_read": 1, "images": 9}),))
    rules = prices.blob.providers["acme"]
    changes = [
        Change(CHANGED, "acme", "long", models["long"], dearer, 6_000, NOW.date()),
        Change(GONE, "acme", "image-only", models["image-only"], None),
        Change(NEW, "acme", "heard-of", None, new),
        Change(RULES, "acme", "", rules, ProviderRules((*rules.rules, ({"starts_with": "unheard"}, "heard-of")))),
    ]
    blob = pricing_blob(env="dev", rev=2)
    changed = {name: each for name, each in models.items() if name != "image-only"} | {"long": dearer, "heard-of": new}
    kept = tuple(rule for rule in rules.rules if rule[1] != "image-only")
    after = PriceBook(
        blob.__class__(
            **{name: getattr(blob, name) for name in blob.__struct_fields__}
            | {
                "models": blob.models | {"acme": changed},
                "providers": blob.providers
                | {"acme": ProviderRules((*kept, ({"starts_with": "unheard"}, "heard-of")))},
            }
        )
    )
    for each, events in by_tenant.items():
        answer = with_changes(changes, tenant_id=each, now=NOW)
        held_against(answer, events, after, third if each == "t_third00001" else None)
    everybody = with_changes(changes, tenant_id=None, now=NOW)
    together = dict(everybody.together(lambda line: line.tenant))
    assert everybody.calls == sum(map(len, by_tenant.values()))
    for each in by_tenant:
        assert together[each] == total(with_changes(changes, tenant_id=each, now=NOW).lines)
    gone = [line for line in everybody.lines if line.model == "image-only" and line.provider == "acme"]
    assert gone
    assert all(line.unpriced_after for line in gone)
    assert {line.model for line in everybody.lines} == {
        "long",
        "acme/long",
        "image-only",
        "acme/image-only",
        "unheard-of",
    }


def test_nothing_is_compared_where_nothing_was_called(prices):
    ours = tenant(TENANT)
    answer = with_rules(ours.id, rules_with(ours.id, settings().clean()), now=NOW)
    assert (answer.calls, answer.charge, answer.after, answer.lines) == (0, 0, 0, ())


def test_another_tenants_calls_are_nobodys_business(prices):
    ours, theirs = tenant(TENANT), tenant("t_other00001")
    calls(prices, who=theirs.id, number=50)
    assert with_rules(ours.id, rules_with(ours.id, settings().clean()), now=NOW).calls == 0


def test_without_a_price_book_there_is_nothing_to_price_by(db):
    with pytest.raises(NoPricesError):
        with_rules(tenant(TENANT).id, (), now=NOW)
