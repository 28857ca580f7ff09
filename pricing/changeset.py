"""What a source proposes against the price book, and what of it is too large to publish unasked. No database here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import msgspec

from pricing.history import Move, compose, largest_move, same_from, takes_effect
from pricing.sources.base import Catalogue, all_prices
from wire.documents import SCHEMA
from wire.prices import Clause, ModelPrices, PriceBook, PricingBlob, ProviderRules
from wire.units import UNITS

Key = tuple[str, str]  # provider, model

NEW, CHANGED, GONE, CONFLICT, RULES = "new", "changed", "gone", "conflict", "rules"


class Change(NamedTuple):
    """One change. `reason` says why it waits for a person; "" when it may publish by itself."""

    kind: str
    provider: str
    model: str  # "" for rules
    before: ModelPrices | ProviderRules | None
    after: ModelPrices | ProviderRules | None
    basis_points: int | None = None
    takes_effect: date | None = None
    reason: str = ""

    @property
    def key(self) -> Key:
        return self.provider, self.model


class Hand(NamedTuple):
    """A model that a person priced, and the clause by which it is found beside the source's rules."""

    provider: str
    model: str
    clause: Clause | None


class Band(NamedTuple):
    """What may publish unasked."""

    percent: int
    changes_most: int


def changes_of(
    catalogue: Catalogue,
    held: Mapping[Key, ModelPrices],
    held_rules: Mapping[str, ProviderRules],
    hands: Sequence[Hand],
    *,
    band: Band,
    today: date,
) -> list[Change]:
    """Compare a catalogue with a price book: every difference once, the models' first, then the rules'."""
    changes = [*_price_changes(catalogue, held, hands, band, today), *_gone(catalogue, held, hands)]
    many = sum(1 for change in changes if change.kind in (CHANGED, GONE))
    too_many = f"{many:,} changes at once" if many > band.changes_most else ""
    changes += _rule_changes(catalogue, held, held_rules, hands, changes, band, today)
    return [change._replace(reason=change.reason or too_many) for change in changes]


def digest_of(changes: Iterable[Change]) -> str:
    """SHA-256 of what changes propose: what an approval is bound to. What rules held before is left out."""
    content = sorted(
        msgspec.json.encode(
            [each.kind, each.provider, each.model, None if each.kind == RULES else each.before, each.after],
            order="deterministic",
        )
        for each in changes
    )
    return hashlib.sha256(b"\n".join(content)).hexdigest()


def with_hand_rules(rules: ProviderRules, hands: Iterable[Hand]) -> ProviderRules:
    """Rules with those of models that a person priced: exact names before the source's rules, others after them."""
    held = list(rules.rules)
    own = [(hand.clause, hand.model) for hand in hands if hand.clause and (hand.clause, hand.model) not in held]
    first = [rule for rule in own if "equals" in rule[0]]
    last = [rule for rule in own if "equals" not in rule[0]]
    return msgspec.structs.replace(rules, rules=(*first, *held, *last))


def interim_rules(held: ProviderRules, listed: ProviderRules, new: Iterable[str]) -> ProviderRules:
    """The held rules, followed by those of models that are new, while the listed rules wait for a person."""
    added = set(new)
    return msgspec.structs.replace(
        held, rules=(*held.rules, *(rule for rule in listed.rules if rule[1] in added and rule not in held.rules))
    )


def book_of(provider: str, rules: ProviderRules, prices: Mapping[Key, ModelPrices]) -> PriceBook:
    """One provider's part of a price book, to ask what a name finds."""
    models = {model: each for (owner, model), each in prices.items() if owner == provider}
    alone = msgspec.structs.replace(rules, model_match=None, fallbacks=())
    blob = PricingBlob(SCHEMA, 0, "", 0, "", {provider: models}, {provider: alone})
    return PriceBook(blob)


def names_in(rules: ProviderRules) -> set[str]:
    """The names that rules speak of: each text of a clause, and each model."""
    return {text for clause, model in rules.rules for text in (*_texts(clause), model)}


def _texts(clause: Clause) -> Iterable[str]:
    for kind, operand in clause.items():
        if kind in ("or", "and"):
            for part in operand:
                yield from _texts(part)
        elif kind != "regex":
            yield operand


def _price_changes(
    catalogue: Catalogue, held: Mapping[Key, ModelPrices], hands: Sequence[Hand], band: Band, today: date
) -> Iterable[Change]:
    by_hand = {(hand.provider, hand.model) for hand in hands}
    for provider in catalogue.providers:
        for model in provider.models:
            key, listed = (provider.id, model.id), model.prices
            before = held.get(key)
            if before is None:
                yield Change(NEW, *key, None, listed)
            elif key in by_hand:
                if any(True for _ in all_prices(listed)) and not same_from(before, listed, today):
                    yield Change(
                        CONFLICT, *key, before, listed, None, today, f"{catalogue.source} lists what a person priced"
                    )
            elif compose(before, listed, today) != before:
                day = takes_effect(before, listed, today)
                move = largest_move(before, listed, day)
                points = move.basis_points if move else 0
                yield Change(CHANGED, *key, before, listed, points, day, _beyond(move, band) if move else "")


def _gone(catalogue: Catalogue, held: Mapping[Key, ModelPrices], hands: Sequence[Hand]) -> Iterable[Change]:
    listed = {(provider.id, model.id) for provider in catalogue.providers for model in provider.models}
    by_hand = {(hand.provider, hand.model) for hand in hands}
    for key in sorted(held):
        if key not in listed and key not in by_hand:
            yield Change(GONE, *key, held[key], None, reason=f"{catalogue.source} lists it no more")


def _rule_changes(
    catalogue: Catalogue,
    held: Mapping[Key, ModelPrices],
    held_rules: Mapping[str, ProviderRules],
    hands: Sequence[Hand],
    changes: Sequence[Change],
    band: Band,
    today: date,
) -> Iterable[Change]:
    gone = {change.provider for change in changes if change.kind == GONE}
    listed = {provider.id: provider.rules for provider in catalogue.providers}
    wanted = {(provider.id, model.id): model.prices for provider in catalogue.providers for model in provider.models}
    for name in (*listed, *(each for each in held_rules if each not in listed)):
        own = [hand for hand in hands if hand.provider == name]
        if name not in listed and own and name not in gone:
            continue  # a person's own provider, of which the source knows nothing
        rules, before = listed.get(name), held_rules.get(name)
        if rules is not None and before == with_hand_rules(rules, own):
            continue
        if before is None or rules is None:
            yield Change(RULES, name, "", before, rules, reason="" if rules else "the whole provider is gone")
            continue
        reason = "models are gone" if name in gone else ""
        if not reason and any(each not in rules.fallbacks for each in before.fallbacks):
            reason = "it borrows from fewer providers"
        if not reason:
            reason = _names_move(name, before, with_hand_rules(rules, own), held, {**wanted, **held}, band, today)
        yield Change(RULES, name, "", before, rules, reason=reason)


def _names_move(
    provider: str,
    before: ProviderRules,
    after: ProviderRules,
    held: Mapping[Key, ModelPrices],
    later: Mapping[Key, ModelPrices],
    band: Band,
    today: date,
) -> str:
    """Why new rules wait: a name that finds another model now, whose price is too far off, or none at all."""
    old, new = book_of(provider, before, held), book_of(provider, after, later)
    for name in sorted(names_in(before) | names_in(after)):
        found, finds = old.find(provider, name), new.find(provider, name)
        if found is None or (finds is not None and finds.model == found.model):
            continue
        if finds is None:
            return f"{name} would be found no more"[:300]
        move = largest_move(found.prices, finds.prices, today)
        if move and (beyond := _beyond(move, band)):
            return f"{name} would be priced as {finds.model}: {beyond}"[:300]
    return ""


def _beyond(move: Move, band: Band) -> str:
    """Why a move is too large to publish unasked; "" when it is not."""
    label = UNITS[move.unit].label if move.unit in UNITS else move.unit
    points = move.basis_points
    if points is None:
        return f"{label} were free"
    if move.after is None:
        return f"{label} have no price any more"
    if abs(points) <= band.percent * 100:
        return ""
    whole, hundredths = divmod(abs(points), 100)
    return f"{label} {'rise' if points > 0 else 'fall'} by {whole:,}{f'.{hundredths:02d}' if hundredths else ''}%"
