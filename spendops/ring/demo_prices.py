"""The demo's prices: a past for some list prices, a sync that waits, overrides, selections, models that got their
price late or have none, and what two re-ratings make of that.

What is invented says so: the source's version ends in "demo", and so do the notes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

import msgspec
from django.conf import settings

from changes.actor import Actor
from pricing.actions.by_hand import add_hand_price
from pricing.actions.crosscheck import cross_check
from pricing.actions.overrides import create_override
from pricing.actions.selections import select_model
from pricing.actions.sync import sync_prices
from pricing.models import PriceBook as Published
from pricing.override_rules import OverrideSettings
from pricing.render import pricing_blob
from pricing.sources import INSTALLED
from pricing.sources.base import Catalogue, ListedModel, ListedProvider, SourceError
from spend.models import Rerating
from spend.rerating.actions import apply_dry_run, start_dry_run
from spend.rerating.run import work_off
from tenants.models import Project, Tenant
from wire.documents import Missing, encode, missing_document
from wire.events import UsageEvent
from wire.money import usd_string
from wire.overrides import OverrideKind
from wire.prices import ModelPrices, Price, PriceBook, PricePeriod, Tiered

RERATING_SECONDS = 60

# What models cost before: (days ago until which, how many times today's price). 0 days: until the sync that finds it.
PAST: dict[tuple[str, str], tuple[tuple[int, Fraction], ...]] = {
    ("openai", "gpt-4o"): ((400, Fraction(2)), (65, Fraction(3, 2))),
    ("google", "gemini-2.5-flash"): ((210, Fraction(1, 2)), (38, Fraction(4, 5))),
    ("anthropic", "claude-haiku-4-5"): ((0, Fraction(19, 20)),),  # a small move: published by the sync itself
    ("anthropic", "claude-sonnet-4-6"): ((0, Fraction(2, 3)),),  # a large one: waits for a person
    ("anthropic", "claude-opus-4-5"): ((0, Fraction(3)),),
}
VANISHED = ("openai", "gpt-4-32k-demo")  # was listed, and is no more
ARRIVED = ("mistral", "codestral")  # is listed now, and was not

LATE, UNPRICED = "halden-labels-9b", "halden-private-7b"  # of Halden Robotics' own; they get prices after their use
NEVER = "brightwater-clauses-12b"  # nobody has priced it yet


class Wanted(NamedTuple):
    """An override: its project ("" for all), what it is for, from and until so many days from now."""

    name: str
    project: str
    provider: str
    model: str
    kind: OverrideKind
    begins: int
    ends: int | None = None
    basis_points: int = 0
    prices: Mapping[str, int] = {}
    priority: int = 0


OVERRIDES: dict[str, tuple[Wanted, ...]] = {
    "Halden Robotics": (
        Wanted("Enterprise agreement", "", "anthropic", "*", OverrideKind.PERCENT, -75, 290, -1200),
        Wanted("Evaluation credit", "Search ranking", "openai", "text-embedding-*", OverrideKind.FREE, -50, -20),
        Wanted(
            "Committed volume",
            "",
            "google",
            "gemini-2.5-flash*",
            OverrideKind.ABSOLUTE,
            -45,
            prices={"input": 210_000, "output": 1_900_000},
        ),
        Wanted("Platform fee", "Internal tools", "anthropic", "*", OverrideKind.PERCENT, -60, None, 500),
        Wanted("Renewal from next year", "", "openai", "gpt-4o*", OverrideKind.PERCENT, 40, None, -1500, priority=10),
    ),
    "Brightwater Legal": (
        Wanted("Reseller's margin", "", "*", "*", OverrideKind.PERCENT, -80, None, 300),
        Wanted("Pilot without charge", "Research", "google", "*", OverrideKind.FREE, -30, 15),
    ),
}

# tenant -> (project or "", use, tier, provider, model)
SELECTIONS: dict[str, tuple[tuple[str, str, str, str, str], ...]] = {
    "Halden Robotics": (
        ("", "chat", "bulk", "openai", "gpt-4o-mini"),
        ("", "chat", "standard", "openai", "gpt-4o"),
        ("", "messages", "bulk", "anthropic", "claude-haiku-4-5"),
        ("", "messages", "standard", "anthropic", "claude-sonnet-4-6"),
        ("", "messages", "frontier", "anthropic", "claude-opus-4-5"),
        ("", "embeddings", "bulk", "openai", "text-embedding-3-small"),
        ("Data platform", "chat", "bulk", "google", "gemini-2.5-flash"),
    ),
    "Brightwater Legal": (("", "messages", "frontier", "anthropic", "claude-opus-4-5"),),
}


class _Before:
    """The installed source as it was before, and once as a source that is broken."""

    def __init__(self, catalogue: Catalogue | None) -> None:
        self.name = INSTALLED.name
        self._catalogue = catalogue

    def read(self) -> Catalogue:
        if self._catalogue is None:
            raise SourceError(f"{self.name} lists no models: nothing was changed.")
        return self._catalogue


def begin_with_earlier_prices(*, today: date) -> None:
    """The first price book of the demo, before the source is asked as it is now. Nothing when there are prices."""
    if Published.objects.exists():
        return
    by = Actor.system("demo")
    sync_prices(_Before(_earlier(INSTALLED.read(), today)), by=by)
    with suppress(SourceError):
        sync_prices(_Before(None), by=by)


def agree_on_overrides(tenant: Tenant, projects: Mapping[str, Project], *, now: datetime, by: Actor) -> None:
    """The tenant's overrides, before the calls that they concern."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for each in OVERRIDES.get(tenant.name, ()):
        create_override(
            tenant=tenant,
            wanted=OverrideSettings(
                name=each.name,
                kind=each.kind,
                starts_at=day + timedelta(days=each.begins),
                ends_at=None if each.ends is None else day + timedelta(days=each.ends),
                provider=each.provider,
                model=each.model,
                project=projects[each.project].id if each.project else "",
                prices=each.prices,
                basis_points=each.basis_points,
                priority=each.priority,
            ),
            by=by,
        )


def select_models(tenant: Tenant, projects: Mapping[str, Project], *, by: Actor) -> None:
    """What the tenant's tiers stand for."""
    for project, use, tier, provider, model in SELECTIONS.get(tenant.name, ()):
        select_model(
            tenant=tenant,
            project=projects[project] if project else None,
            use=use,
            tier=tier,
            provider=provider,
            model=model,
            by=by,
        )


def flag_unpriced(events: Sequence[UsageEvent]) -> None:
    """What gateways leave in KV at the first call of a model without a price."""
    first: dict[tuple[str, str, str], UsageEvent] = {}
    for event in events:
        if event.cost is None:
            first.setdefault((event.env, event.provider, event.model_asked), event)
    for env in settings.SPENDOPS.environments:
        with closing(settings.SPENDOPS.open_kv(env)) as kv:
            for (of, provider, model), event in first.items():
                if of != env:
                    continue
                flag = Missing(
                    env=env,
                    provider=provider,
                    model=model,
                    first_seen=event.ts,
                    tenant=event.tenant,
                    event_id=event.event_id,
                )
                kv.add(missing_document(provider, model), encode(flag))


def price_what_was_unpriced(events: Sequence[UsageEvent], *, now: datetime, by: Actor) -> None:
    """Two models get their prices late: one's calls are priced anew, those of the other as far as a dry run."""
    first = datetime.fromtimestamp(min(event.ts for event in events) / 1000, UTC).date()
    begin = datetime.combine(first, datetime.min.time(), UTC)
    end = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    for model, given in ((LATE, (90_000, 360_000)), (UNPRICED, (140_000, 420_000))):
        add_hand_price(
            provider=_provider_of(model, events),
            model=model,
            prices=dict(zip(("input", "output", "cache_read"), (*given, given[0] // 4), strict=True)),
            starts=first,
            source_url="https://wiki.example.com/cluster-costs",
            note="What the cluster costs for a token, by finance (demo).",
            by=by,
        )
    for model in (LATE, UNPRICED):
        dry = start_dry_run(begin=begin, end=end, provider=_provider_of(model, events), model=model, by=by)
        _work_off(dry)
        if model == LATE:
            _work_off(apply_dry_run(dry_run=dry, by=by))


def check_against_a_table(by: Actor) -> None:
    """A table of the form that can be uploaded, made of our own prices: on two of its figures it differs."""
    book = PriceBook(pricing_blob(env="", rev=0))
    table = {}
    for provider, model in (*PAST, ("openai", "gpt-4o-mini"), ("openai", "text-embedding-3-small")):
        match = book.find(provider, model)
        if match is None:
            continue
        prices = match.prices.at(datetime.now(UTC), {})
        table[f"{provider}/{model}"] = {
            "litellm_provider": "gemini" if provider == "google" else provider,
            **{
                key: msgspec.Raw(usd_string(_theirs(model, unit, prices[unit])).encode())
                for key, unit in (("input_cost_per_token", "input"), ("output_cost_per_token", "output"))
                if unit in prices
            },
        }
    cross_check(content=msgspec.json.encode(table), table="prices-demo.json", by=by)


def _theirs(model: str, unit: str, price: Price) -> int:
    base = price.base if isinstance(price, Tiered) else price
    off = {("gemini-2.5-flash", "output"): Fraction(6, 5), ("gpt-4o-mini", "input"): Fraction(9, 10)}
    return round(base * off.get((model, unit), Fraction(1)))


def _work_off(job: Rerating) -> None:
    """Until it is done, by us or by the worker that found it first."""
    deadline = time.monotonic() + RERATING_SECONDS
    while time.monotonic() < deadline:
        work_off(job.pk)
        job.refresh_from_db()
        if job.status == Rerating.Status.DONE:
            return
        time.sleep(0.2)
    raise SystemExit(f"The demo's re-rating {job.pk} is {job.status} after {RERATING_SECONDS} s. {job.error}")


def _provider_of(model: str, events: Sequence[UsageEvent]) -> str:
    return next(event.provider for event in events if event.model_asked == model)


def _earlier(catalogue: Catalogue, today: date) -> Catalogue:
    """What the source listed before, as the demo tells it."""
    return msgspec.structs.replace(
        catalogue,
        source_version=f"{catalogue.source_version} demo",
        providers=tuple(_earlier_provider(provider, today) for provider in catalogue.providers),
    )


def _earlier_provider(provider: ListedProvider, today: date) -> ListedProvider:
    models = [_earlier_model(provider.id, model, today) for model in provider.models]
    rules = list(provider.rules.rules)
    if provider.id == VANISHED[0] and models:
        like = next((model for model in provider.models if model.id == "gpt-4"), provider.models[0])
        models.append(msgspec.structs.replace(like, id=VANISHED[1], name=VANISHED[1]))
        rules.insert(0, ({"equals": VANISHED[1]}, VANISHED[1]))
    if provider.id == ARRIVED[0]:
        models = [model for model in models if model.id != ARRIVED[1]]
        rules = [rule for rule in rules if rule[1] != ARRIVED[1]]
    return msgspec.structs.replace(
        provider, models=tuple(models), rules=msgspec.structs.replace(provider.rules, rules=tuple(rules))
    )


def _earlier_model(provider: str, model: ListedModel, today: date) -> ListedModel:
    steps = PAST.get((provider, model.id))
    if not steps:
        return model
    *before, last = model.prices.periods
    periods, since = list(before), last.start
    for days, times in steps:
        periods.append(PricePeriod(_times(last.prices, times), since, last.hours))
        since = today - timedelta(days=days)
    if steps[-1][0]:
        periods.append(PricePeriod(last.prices, since, last.hours))
    prices = ModelPrices(tuple(periods), model.prices.variants, deprecated=model.prices.deprecated)
    return msgspec.structs.replace(model, prices=prices)


def _times(prices: Mapping[str, Price], times: Fraction) -> dict[str, Price]:
    """Other prices of tokens; those of searches stay."""
    return {
        unit: price
        if unit.endswith("searches")
        else Tiered(round(price.base * times), tuple((start, round(each * times)) for start, each in price.tiers))
        if isinstance(price, Tiered)
        else round(price * times)
        for unit, price in prices.items()
    }
