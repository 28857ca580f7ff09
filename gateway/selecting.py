"""Which model is meant when a caller asks for a tier. Pure functions; docs/pricing.md says the same in words.

The model that is asked for comes first: what names a model is never exchanged for another. Only a tier's name is looked
up among the selections, and only when no provider has a model of that very name. Frontier is always the caller's own
word: nothing else leads to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from wire.documents import TIERS, Selected

AUTO = "auto"  # the key's own tier
HEADER = b"x-spendops-tier"
WORDS = (*TIERS, AUTO)
_BULK, _STANDARD, _FRONTIER = TIERS


class Wish(NamedTuple):
    """What a caller asks for: a model, with `tier` "", or a tier (`auto` is one). `problem` says what is wrong."""

    model: str
    tier: str = ""
    problem: str = ""


def wish_of(model: str, header: str, *, is_known: Callable[[str], bool]) -> Wish:
    """What is meant by the body's model ("" when it names none) and the header.

    `is_known` says whether a name is a model that calls can go to. A model that is named stays what it is, whatever the
    header says; the header decides where the body leaves the choice open.
    """
    named, word = model.strip(), header.strip().lower()
    if word and word not in WORDS:
        return Wish(model, problem=f"x-spendops-tier must be one of {', '.join(WORDS)}.")
    if not named:
        return Wish(word, word)
    said = named.lower()
    if said not in WORDS or is_known(model):
        return Wish(model)
    if word and AUTO not in (said, word) and said != word:
        return Wish(model, problem=f"The body asks for the tier {said} and x-spendops-tier for {word}: send one.")
    return Wish(model, said if word in ("", AUTO) else word)


def tier_meant(asked: str, key_tier: str) -> str:
    """The tier of a wish. `auto` is the key's tier, bulk for a key without one, and never frontier."""
    if asked != AUTO:
        return asked
    return _STANDARD if key_tier == _FRONTIER else key_tier if key_tier in TIERS else _BULK


def may_use(tier: str, key_tier: str) -> bool:
    """Whether a key's own tier reaches this one. A key without one may use all; one that is not known reaches none."""
    if not key_tier:
        return True
    return key_tier in TIERS and TIERS.index(tier) <= TIERS.index(key_tier)


def select(
    selections: Iterable[Selected], *, use: str, tier: str, project: str, is_listed: Callable[[Selected], bool]
) -> Selected | None:
    """The selection that holds for a project: its own, else the tenant's; None when there is neither.

    One that `is_listed` goes before one that is not: a model that a provider no longer offers helps nobody.
    """
    fitting = [each for each in selections if (each.use, each.tier) == (use, tier) and each.project in ("", project)]
    fitting.sort(key=lambda each: not each.project)
    return next((each for each in fitting if is_listed(each)), fitting[0] if fitting else None)
