"""The rules of cost centres: what they may say, which usage they give to whom, and how shared costs are split. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from tenants.errors import InvalidSettingError

UNALLOCATED = "Unallocated"
REST = "*"  # at the end of a value: whatever begins like this
RULES_MOST, CENTRES_MOST, VALUES_MOST = 200, 200, 100
NAME_LONGEST, VALUE_LONGEST = 80, 400
TEXT_MOST = 50_000  # bytes of all rules as SQL, about: a statement is 256 KB at most, and may name them four times
_COLUMN_LONGEST = 70
WHOLE = 10_000  # basis points of everything

FIELDS = {
    "project": "Project",
    "key": "API key",
    "model": "Model",
    "provider": "Provider",
    "env": "Environment",
    "end_user": "End user",
}
TAG = "tag:"
_OF_DAYS = frozenset({"project", "key", "model", "provider", "env"})  # the rollup knows them
_TAG_NAME = re.compile(r"[^\x00-\x1f\x7f=]{1,64}")

SPLITS = {"": "Not shared", "equal": "Equally", "fixed": "By fixed percent", "spend": "As the others spend"}


class Centre(NamedTuple):
    """A cost centre. One with a `split` is shared: its spend goes to the others, `shares` in basis points if fixed."""

    name: str
    split: str = ""
    shares: Mapping[str, int] = {}


class Rule(NamedTuple):
    """Usage that has, for each field, one of its values goes to a centre. Of several rules the first decides."""

    centre: str
    when: Mapping[str, tuple[str, ...]]

    @property
    def of_days(self) -> bool:
        """Whether the rollup can decide it."""
        return _OF_DAYS.issuperset(self.when)


class Book(NamedTuple):
    """All of a tenant's cost centres and rules."""

    centres: tuple[Centre, ...] = ()
    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Book:
        """What `stored` wrote."""
        return cls(
            tuple(Centre(each["name"], each["split"], dict(each["shares"])) for each in stored.get("centres", ())),
            tuple(
                Rule(each["centre"], {name: tuple(values) for name, values in each["when"].items()})
                for each in stored.get("rules", ())
            ),
        )

    def stored(self) -> dict[str, Any]:
        """As SQL and statements keep it."""
        return {
            "centres": [
                {"name": each.name, "split": each.split, "shares": dict(sorted(each.shares.items()))}
                for each in self.centres
            ],
            "rules": [
                {"centre": each.centre, "when": {name: list(values) for name, values in sorted(each.when.items())}}
                for each in self.rules
            ],
        }


def cleaned(book: Book) -> Book:
    """The book as it can be kept. Raises InvalidSettingError that says which rule or centre is wrong."""
    if len(book.rules) > RULES_MOST or len(book.centres) > CENTRES_MOST:
        raise InvalidSettingError(f"There can be {RULES_MOST} rules and {CENTRES_MOST} cost centres at most.")
    rules = tuple(_clean_rule(number, rule) for number, rule in enumerate(book.rules, 1))
    if sum(map(_length, rules)) > TEXT_MOST:
        raise InvalidSettingError(
            f"The rules are too long together, from rule {_first_too_long(rules)} on: take fewer values, or one with "
            "a * at its end for many."
        )
    named = {each.name: each for each in (_clean_centre(each) for each in book.centres)}
    if len(named) < len(book.centres):
        raise InvalidSettingError("Two cost centres have the same name.")
    for rule in rules:
        named.setdefault(rule.centre, Centre(rule.centre))
    paying = {name for name, each in named.items() if not each.split}
    for each in named.values():
        _check_split(each, paying)
    return Book(tuple(named.values()), rules)


def _clean_name(text: str, what: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > NAME_LONGEST or not name.isprintable():
        raise InvalidSettingError(f"{what}: give the cost centre a name of up to {NAME_LONGEST} characters.")
    if name.casefold() == UNALLOCATED.casefold():
        raise InvalidSettingError(f"{what}: “{UNALLOCATED}” is what no rule takes; choose another name.")
    return name


def _clean_rule(number: int, rule: Rule) -> Rule:
    what = f"Rule {number}"
    when = {}
    for name, given in rule.when.items():
        tag = name.removeprefix(TAG) if name.startswith(TAG) else None
        if not (name in FIELDS or (tag is not None and _TAG_NAME.fullmatch(tag))):
            raise InvalidSettingError(f"{what}: usage has no {name[:80]!r}; use {', '.join(FIELDS)} or tag:<name>.")
        values = tuple(dict.fromkeys(value.strip() for value in given if value.strip()))
        if any(len(value) > VALUE_LONGEST or not value.isprintable() for value in values):
            raise InvalidSettingError(f"{what}: a value is too long, or cannot be read.")
        if len(values) > VALUES_MOST:
            raise InvalidSettingError(f"{what}: {VALUES_MOST} values at most. Write a second rule for the others.")
        if values:
            when[name] = values
    if not when:
        raise InvalidSettingError(f"{what} says not which usage it takes: fill in a project, a model or another field.")
    return Rule(_clean_name(rule.centre, what), when)


def _length(rule: Rule) -> int:
    """About how many bytes a rule takes in a statement."""
    length = _written(rule.centre)
    for name, values in rule.when.items():
        column = _COLUMN_LONGEST + (_written(name) if name.startswith(TAG) else 0)
        length += column + sum(_written(value) + (column if value.endswith(REST) else 0) for value in values)
    return length


def _written(text: str) -> int:
    return len(text.encode()) + text.count("'") + text.count("\\") + len("'', ")


def _first_too_long(rules: Iterable[Rule]) -> int:
    lengths = accumulate(map(_length, rules))
    return next(number for number, length in enumerate(lengths, 1) if length > TEXT_MOST)


def _clean_centre(centre: Centre) -> Centre:
    name = _clean_name(centre.name, "Cost centre")
    if centre.split not in SPLITS:
        raise InvalidSettingError(f"“{name}” cannot be split by {centre.split[:40]!r}: use equal, fixed or spend.")
    shares = {" ".join(other.split()): share for other, share in centre.shares.items() if share}
    return Centre(name, centre.split, shares if centre.split == "fixed" else {})


def _check_split(centre: Centre, paying: set[str]) -> None:
    if centre.split and not paying:
        raise InvalidSettingError(f"“{centre.name}” is shared, and there is no cost centre to share it among.")
    if centre.split != "fixed":
        return
    strangers = sorted(set(centre.shares) - paying)
    if strangers:
        raise InvalidSettingError(f"“{centre.name}” cannot be shared with “{strangers[0]}”: no such cost centre pays.")
    if any(share < 0 for share in centre.shares.values()) or sum(centre.shares.values()) != WHOLE:
        total = f"{sum(centre.shares.values()) / 100:g}"
        raise InvalidSettingError(f"The shares of “{centre.name}” come to {total} %: they must come to 100 %.")


class Paid(NamedTuple):
    """What a centre pays, in pico-USD: its own usage, and its parts of shared centres by their names."""

    centre: str
    own: int
    shared: Mapping[str, int]

    @property
    def total(self) -> int:
        return self.own + sum(self.shared.values())


def settled(own: Mapping[str, int], book: Book) -> list[Paid]:
    """Who pays what (pico-USD) when centres' own usage comes to `own`: the sum stays the same to the last pico-USD."""
    known = {each.name: each for each in book.centres}
    paying = [each.name for each in book.centres if not each.split]
    amounts = {name: own.get(name, 0) for name in paying}
    parts: dict[str, dict[str, int]] = {name: {} for name in paying}
    unshared = {}
    for name, amount in sorted(own.items()):
        centre = known.get(name)
        if centre is None or not centre.split:
            if name not in amounts:
                unshared[name] = amount  # what nobody is named for, and centres that are gone
            continue
        for payer, part in zip(paying, _split(amount, _weights(centre, paying, amounts)), strict=True):
            if part:
                parts[payer][name] = part
    found = [Paid(name, amounts[name], parts[name]) for name in paying]
    return found + [Paid(name, amount, {}) for name, amount in unshared.items()]


def _weights(centre: Centre, paying: list[str], amounts: Mapping[str, int]) -> list[int]:
    if centre.split == "fixed":
        return [centre.shares.get(name, 0) for name in paying]
    if centre.split == "spend":
        spent = [max(0, amounts[name]) for name in paying]
        if any(spent):
            return spent
    return [1] * len(paying)


def _split(amount: int, weights: list[int]) -> list[int]:
    """An amount in parts by weight that sum up to it exactly: the largest remainders get what is left over."""
    sign, size, whole = (-1 if amount < 0 else 1), abs(amount), sum(weights)
    parts = [size * weight // whole for weight in weights]
    left = size - sum(parts)
    order = sorted(range(len(weights)), key=lambda place: (-(size * weights[place] % whole), place))
    for place in order[:left]:
        parts[place] += 1
    return [sign * part for part in parts]
