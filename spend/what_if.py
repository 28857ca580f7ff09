"""What the last 30 days would have cost by other prices, or been charged by other overrides.

Only the calls that another price or override concerns are priced anew, by the price book of today at their own time;
the others stay as they are stored. What is assumed is assumed for all of the 30 days, whenever it is to begin. All
amounts are whole pico-USD, and exact: see `spend.queries.what_if`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import msgspec
from django.utils import timezone

from pricing.actions.changes import change_of
from pricing.changeset import RULES, Change
from pricing.models import PriceChange, PriceSync
from pricing.queries import changes_in
from pricing.queries_overrides import current_overrides, finder_with, finders_of
from pricing.render import pricing_blob
from spend.clickhouse.errors import TooMuchError
from spend.queries.freshness import complete_to
from spend.queries.what_if import Alike, Called, alike_calls, called
from spend.rerating.price import Rater
from spend.rerating.run import price_book
from spend.zones import moment_of, ms_of
from tenants.scope import across_tenants
from wire.cost import cost_of, price_for
from wire.overrides import OverrideRule, Overrides, charge_of
from wire.prices import (
    Match,
    ModelPrices,
    Price,
    PriceBook,
    PricePeriod,
    PriceVariant,
    PricingBlob,
    ProviderRules,
    Tiered,
    context_of,
)

DAYS = 30
BOUNDARIES_MOST = 5_000
_TOO_MANY_BOUNDARIES = 0  # as the code of a refusal: ours, not ClickHouse's


class Line(NamedTuple):
    """The calls of one project, environment and model that are concerned. Money in pico-USD.

    `held` is their charge by the prices and overrides of today: where it is not `before`, those have changed since.
    """

    tenant: str
    project: str
    env: str
    provider: str
    model: str
    calls: int
    before: int  # charge as stored
    held: int
    after: int
    cost_before: int
    cost_after: int
    unpriced_before: int  # calls without a charge
    unpriced_after: int

    @property
    def difference(self) -> int:
        return self.after - self.before

    def of(self, other: Line) -> Line:
        """These sums, said to be of the same calls as another line."""
        return self._replace(
            tenant=other.tenant, project=other.project, env=other.env, provider=other.provider, model=other.model
        )


class WhatIf(NamedTuple):
    """The answer. `calls`, `charge` and `unpriced` are of all calls of the window, as they are stored."""

    begin: datetime
    end: datetime
    data_to: datetime  # every call that was acknowledged until then is in it
    calls: int
    charge: int
    unpriced: int
    lines: tuple[Line, ...]

    @property
    def concerned(self) -> Line:
        """All lines together."""
        return total(self.lines)

    @property
    def after(self) -> int:
        """What all calls would have been charged."""
        return self.charge + self.concerned.difference

    def together(self, group: Callable[[Line], str]) -> list[tuple[str, Line]]:
        """The lines put together by what a function makes of them, those that move the most first."""
        groups: dict[str, list[Line]] = {}
        for line in self.lines:
            groups.setdefault(group(line), []).append(line)
        found = [(name, total(lines)) for name, lines in groups.items()]
        return sorted(found, key=lambda each: (-abs(each[1].difference), -each[1].calls, each[0]))


class _World(NamedTuple):
    """Prices and rules under which calls are priced."""

    rater: Rater
    overrides: Mapping[str, Overrides]  # by tenant

    def match(self, call: Called | Alike) -> Match | None:
        return self.rater.match(call.provider, call.model_asked, call.model_priced, call.price_version)


class _Priced(NamedTuple):
    """What calls alike come to in a world, and what decided it."""

    cost: int | None
    charge: int | None
    prices: dict[str, Any]  # unit used -> whose price it takes, and that price
    rule: OverrideRule | None


def with_rules(tenant_id: str, rules: Sequence[OverrideRule], *, now: datetime | None = None) -> WhatIf:
    """A tenant's last 30 days, had its overrides been these rules (see `pricing.queries_overrides.rules_with`).

    Raises ClickHouseError, and NoPricesError before the first price book.
    """
    rater = Rater(PriceBook(pricing_blob(env="", rev=0)), price_book)
    held = _World(rater, {tenant_id: current_overrides(tenant_id)})
    assumed = _World(rater, {tenant_id: finder_with(tenant_id, rules)})
    return _what_if(lambda _: (held, assumed), tenant_id, now)


def with_sync(sync: PriceSync, *, tenant_id: str | None, now: datetime | None = None) -> WhatIf:
    """The same for what waits of a sync or, when nothing does, for all that it proposed. Raises as `with_changes`."""
    rows = list(changes_in(sync, status=PriceChange.Status.WAITING)) or list(changes_in(sync))
    return with_changes(map(change_of, rows), tenant_id=tenant_id, now=now)


def with_changes(changes: Iterable[Change], *, tenant_id: str | None, now: datetime | None = None) -> WhatIf:
    """The last 30 days of a tenant, or of all of them, had the changes of a sync held all along.

    Raises ClickHouseError, and NoPricesError before the first price book.
    """
    listed = list(changes)
    blob = pricing_blob(env="", rev=0)
    raters = [Rater(PriceBook(_changed(blob, listed, side)), price_book) for side in ("before", "after")]

    def worlds(tenants: Collection[str]) -> tuple[_World, _World]:
        with across_tenants("the overrides of those whose calls are priced anew"):
            rules = finders_of(tenants)
        return _World(raters[0], rules), _World(raters[1], rules)

    return _what_if(worlds, tenant_id, now)


def total(lines: Iterable[Line]) -> Line:
    """Lines added up, whoever's calls they are of."""
    sums = [sum(column) for column in zip(*(line[5:] for line in lines), strict=True)] or [0] * len(Line._fields[5:])
    return Line("", "", "", "", "", *sums)


def _what_if(
    worlds: Callable[[Collection[str]], tuple[_World, _World]], tenant_id: str | None, now: datetime | None
) -> WhatIf:
    end = now or timezone.now()
    begin = end - timedelta(days=DAYS)
    data_to = complete_to()  # read before the sums: what comes in between is then in them and not claimed
    window = ms_of(begin), ms_of(end)
    all_calls = called(*window, tenant_id=tenant_id)
    held, assumed = worlds({each.tenant for each in all_calls})
    names = {each.name for each in all_calls if _may_differ(held, assumed, each)}
    moments, lengths = _boundaries(held, assumed, [each for each in all_calls if each.name in names], *window)
    found = alike_calls(*window, tenant_id=tenant_id, names=names, moments=moments, lengths=lengths)
    lines: dict[tuple[str, ...], list[Line]] = {}
    for each in found:
        before, after = _priced(held, each), _priced(assumed, each)
        if before != after:
            line = _line(each, before, after)
            lines.setdefault(line[:5], []).append(line)
    together = (total(each).of(each[0]) for each in lines.values())
    return WhatIf(
        begin,
        end,
        data_to,
        sum(each.calls for each in all_calls),
        sum(each.charge for each in all_calls),
        sum(each.unpriced for each in all_calls),
        tuple(sorted(together)),
    )


def _may_differ(held: _World, assumed: _World, call: Called) -> bool:
    """Whether there is anything to compare: other rules, or another price list of the model."""
    if held.overrides.get(call.tenant) is not assumed.overrides.get(call.tenant):
        return True
    return held.match(call) != assumed.match(call)


def _boundaries(
    held: _World, assumed: _World, calls: Sequence[Called], begin: int, end: int
) -> tuple[list[int], list[int]]:
    """The moments at which prices or rules may change within the window, and the lengths of contexts above which."""
    moments, lengths = {begin}, {0}
    for world in (held, assumed):
        matches = (world.match(call) for call in calls)
        for prices in {(match.provider, match.model): match.prices for match in matches if match}.values():
            moments |= turns_of(prices, begin, end)
            lengths |= lengths_of(prices)
        for tenant in {call.tenant for call in calls}:
            rules = world.overrides.get(tenant)
            moments |= {at for rule in (rules.rules if rules else ()) for at in (rule.start, rule.end)}
    within = sorted(at for at in moments if begin <= at < end)
    if len(within) > BOUNDARIES_MOST:
        raise TooMuchError(
            _TOO_MANY_BOUNDARIES,
            f"Prices and overrides begin or end at {len(within):,} moments of these days: that is too much to compare.",
        )
    return within, sorted(lengths)


def turns_of(prices: ModelPrices, begin: int, end: int) -> set[int]:
    """When prices may change: at midnight (UTC) of days, and at hours of each day."""
    spans: list[PricePeriod | PriceVariant] = [*prices.periods, *prices.variants]
    days = {span.start for span in spans if span.start} | {each.until for each in prices.variants if each.until}
    found = {_at(day, time()) for day in days}
    hours = {hour for span in spans for hour in span.hours or ()}
    if hours:
        day, last = moment_of(begin).date(), moment_of(end).date()
        while day <= last:
            found |= {_at(day, hour) for hour in hours | {time()}}
            day += timedelta(days=1)
    return found


def lengths_of(prices: ModelPrices) -> set[int]:
    """The lengths of context from which on other prices may hold."""
    spans: list[PricePeriod | PriceVariant] = [*prices.periods, *prices.variants]
    listed = (price for span in spans for price in span.prices.values())
    return {start + 1 for price in listed if isinstance(price, Tiered) for start, _ in price.tiers}


def _at(day: date, at: time) -> int:
    return ms_of(datetime.combine(day, at, UTC))


def _priced(world: _World, alike: Alike) -> _Priced:
    """The same arithmetic as the gateway's, with the sums of units and the prices of their length of context."""
    match = world.match(alike)
    listed: dict[str, Price] | None = None
    if match is not None:
        prices = match.prices.at(moment_of(alike.since), context_of(alike.service_tier))
        listed = {
            unit: price.at(alike.context) if isinstance(price, Tiered) else price for unit, price in prices.items()
        }
    cost = 0 if not alike.units else None if listed is None else cost_of(alike.units, listed).total
    rules = world.overrides.get(alike.tenant)
    rule = rules and rules.rule_for(
        provider=alike.provider,
        model=match.priced_as if match is not None else alike.model_asked,
        project=alike.project,
        at_ms=alike.since,
    )
    charge = charge_of(alike.units, listed, rule or None, cost=cost)
    used = {unit: price_for(unit, listed or {}) for unit, count in alike.units.items() if count}
    return _Priced(cost, charge, used, rule or None)


def _line(alike: Alike, before: _Priced, after: _Priced) -> Line:
    return Line(
        alike.tenant,
        alike.project,
        alike.env,
        alike.provider,
        alike.model_priced or alike.model_asked,
        alike.calls,
        alike.charge,
        alike.charge if before.charge is None else before.charge,
        after.charge or 0,
        alike.cost,
        after.cost or 0,
        alike.unpriced,
        alike.calls if after.charge is None else 0,
    )


def _changed(blob: PricingBlob, changes: Sequence[Change], side: str) -> PricingBlob:
    """A price book in which changes say what they say on one side. Rules that lead to no model are left out."""
    models = {provider: dict(each) for provider, each in blob.models.items()}
    providers = dict(blob.providers)
    for change in changes:
        said = change.before if side == "before" else change.after
        if change.kind == RULES:
            providers.pop(change.provider, None)
            if isinstance(said, ProviderRules):
                providers[change.provider] = said
        else:
            own = models.setdefault(change.provider, {})
            own.pop(change.model, None)
            if isinstance(said, ModelPrices):
                own[change.model] = said
    return msgspec.structs.replace(
        blob,
        models={provider: models.get(provider, {}) for provider in providers},
        providers={provider: _kept(rules, models, provider) for provider, rules in providers.items()},
        order=(
            *(each for each in blob.order if each in providers),
            *(each for each in providers if each not in blob.order),
        ),
    )


def _kept(rules: ProviderRules, models: Mapping[str, Mapping[str, ModelPrices]], provider: str) -> ProviderRules:
    own = models.get(provider, {})
    return msgspec.structs.replace(rules, rules=tuple(rule for rule in rules.rules if rule[1] in own))
