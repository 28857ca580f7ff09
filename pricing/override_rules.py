"""What an override may say, as people write it and as gateways are told it. Pure: no database, no request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pricing.typed import price_from_text
from tenants.errors import RefusedError
from tenants.rules import clean_name
from wire.money import MAX_JSON_INTEGER, decimal_from_pico
from wire.overrides import WHOLE, OverrideKind, OverrideRule, at_ms
from wire.units import UNITS, Measure

if TYPE_CHECKING:
    from pricing.models import Override

BASIS_POINTS_LEAST, BASIS_POINTS_MOST = -WHOLE, 10 * WHOLE  # free of charge … eleven times the list price
PRIORITY_MOST = 1_000
PROVIDER_LONGEST, MODEL_LONGEST = 64, 200
ANY = "*"
_ACTIVE = "active"

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_STARS = re.compile(r"\*{2,}")
_PERCENT = re.compile(r"([-+−])?\s*(\d{1,6})(?:\.(\d{1,4}))?\s*%?", re.ASCII)
_QUOTED_FOR_A_MILLION = (Measure.TOKEN, Measure.CHARACTER, Measure.PIXEL)


class InvalidOverrideError(RefusedError):
    """An override that makes no sense, or whose effect would be chance. `field` names the input at fault."""


@dataclass(frozen=True)
class OverrideSettings:
    """What a person decides about an override. Prices are pico-USD per unit; -1500 basis points are 15% off."""

    name: str
    kind: str
    starts_at: datetime
    ends_at: datetime | None = None  # the first moment at which it holds no more
    provider: str = ANY
    model: str = ANY
    project: str = ""  # an id; "" for all of the tenant's
    prices: Mapping[str, int] = field(default_factory=dict)
    basis_points: int = 0
    priority: int = 0

    def clean(self) -> OverrideSettings:
        """The settings as they are kept. Raises RefusedError for the first that cannot be."""
        if self.kind not in list(OverrideKind):
            raise InvalidOverrideError("An override is absolute, percent or free.", field="kind")
        kind = OverrideKind(self.kind)
        starts, ends = _moment(self.starts_at, "starts_at"), None
        if self.ends_at is not None:
            ends = _moment(self.ends_at, "ends_at")
            if ends <= starts:
                raise InvalidOverrideError("The end must lie after the start.", field="ends_at")
        if abs(self.priority) > PRIORITY_MOST:
            raise InvalidOverrideError(
                f"A priority is a whole number from −{PRIORITY_MOST:,} to {PRIORITY_MOST:,}.", field="priority"
            )
        return replace(
            self,
            name=clean_name(self.name, what="override"),
            kind=kind.value,
            starts_at=starts,
            ends_at=ends,
            provider=_pattern(self.provider, "provider", PROVIDER_LONGEST),
            model=_pattern(self.model, "model", MODEL_LONGEST),
            prices=_prices(kind, self.prices),
            basis_points=_basis_points(kind, self.basis_points),
        )


def has_wildcard(pattern: str) -> bool:
    """Whether a pattern may mean several names."""
    return ANY in pattern


def basis_points_from_text(text: str) -> int:
    """A percentage as typed ("-15", "+2.5 %") in basis points: below 0 is cheaper than the list price.

    Raises ValueError when it is no percentage, or finer than a hundredth of a percent.
    """
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a percentage: write −15 for 15% off, or 5 for 5% on top.")
    sign, whole, fraction = match.groups(default="")
    if len(fraction.rstrip("0")) > 2:
        raise ValueError("A percentage can have two decimal places at most.")
    found = int(whole) * 100 + int(fraction[:2].ljust(2, "0"))
    return -found if sign in ("-", "−") else found


def percent_text(basis_points: int) -> str:
    """Basis points as `basis_points_from_text` reads them: "-15", "2.5"."""
    whole, left = divmod(abs(basis_points), 100)
    fraction = f".{left:02d}".rstrip("0") if left else ""
    return f"{'-' if basis_points < 0 else ''}{whole}{fraction}"


def prices_from_text(typed: Mapping[str, str]) -> dict[str, int]:
    """Prices in USD as price lists quote them (for a million tokens, characters or pixels, else for one), in pico-USD
    per unit. Raises ValueError with the unit in its words.
    """
    return {unit: price_from_text(unit, text) for unit, text in typed.items()}


def price_text(unit: str, pico: int) -> str:
    """A price as `prices_from_text` reads it, exactly."""
    known = UNITS.get(unit)
    per = 10**6 if known is not None and known.measure in _QUOTED_FOR_A_MILLION else 1
    return plain(decimal_from_pico(pico * per))


def plain(amount: Decimal) -> str:
    """A number without an exponent and without zeros at its end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def effect_text(kind: str, basis_points: int) -> str:
    """What a rule makes of a price, in words: "15% off the list price"."""
    match OverrideKind(kind):
        case OverrideKind.FREE:
            return "free of charge"
        case OverrideKind.ABSOLUTE:
            return "prices of its own"
    if basis_points == 0:
        return "the list price"
    size = percent_text(abs(basis_points))
    return f"{size}% off the list price" if basis_points < 0 else f"{size}% on top of the list price"


def rule_of(override: Override) -> OverrideRule:
    """An override as gateways are told it."""
    return OverrideRule(
        id=override.pk,
        kind=OverrideKind(override.kind),
        provider=override.provider.lower(),
        model=override.model.lower(),
        project=override.project_id or "",
        prices=dict(sorted(override.prices.items())),
        basis_points=override.basis_points,
        start=at_ms(override.starts_at),
        end=at_ms(override.ends_at) if override.ends_at else 0,
    )


def in_order(overrides: Iterable[Override]) -> tuple[OverrideRule, ...]:
    """The rules in the order in which they are tried: a project's own first, then by priority, then the newer first.

    An archived one keeps its place, and so the calls it decided. It goes behind one in force with the same project,
    provider, model and priority that holds at the same time: that was changed since to say what it says.
    """
    every = list(overrides)
    in_force: dict[tuple[object, ...], list[Override]] = {}
    for each in every:
        if each.status == _ACTIVE:
            in_force.setdefault(_same(each), []).append(each)

    def place(each: Override) -> tuple[datetime, bool, str]:
        if each.status == _ACTIVE:
            return each.created_at, True, each.pk
        instead = (other.created_at for other in in_force.get(_same(each), ()) if _at_once(each, other))
        return min((each.created_at, *instead)), False, each.pk

    every.sort(key=place, reverse=True)
    every.sort(key=lambda each: (each.project_id is None, -each.priority))
    return tuple(rule_of(each) for each in every)


def _same(override: Override) -> tuple[object, ...]:
    """What two overrides have in common of which only one may hold at a time."""
    return override.project_id, override.provider, override.model, override.priority


def _at_once(one: Override, other: Override) -> bool:
    return (other.ends_at is None or one.starts_at < other.ends_at) and (
        one.ends_at is None or other.starts_at < one.ends_at
    )


def _moment(moment: datetime, name: str) -> datetime:
    if moment.tzinfo is None:
        raise InvalidOverrideError("The moment needs a time zone, like 2026-12-01T00:00:00Z.", field=name)
    if not _FIRST <= moment < _LAST:
        raise InvalidOverrideError("Choose a moment between 2000 and 2100.", field=name)
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)  # gateways count milliseconds


def _pattern(text: str, name: str, longest: int) -> str:
    pattern = _STARS.sub(ANY, text.strip()) or ANY
    if len(pattern) > longest or not pattern.isprintable():
        raise InvalidOverrideError(
            f"Write a {name}'s name, or part of it with * for the rest, of {longest} characters at most.", field=name
        )
    return pattern.lower() if has_wildcard(pattern) else pattern


def _prices(kind: OverrideKind, prices: Mapping[str, int]) -> dict[str, int]:
    if kind is not OverrideKind.ABSOLUTE:
        if prices:
            raise InvalidOverrideError(f"An override that is {kind} has no prices of its own.", field="prices")
        return {}
    if not prices:
        raise InvalidOverrideError("Give at least one price: what is not named keeps its list price.", field="prices")
    for unit, amount in prices.items():
        if unit not in UNITS:
            raise InvalidOverrideError(
                f"{unit[:40]!r} is not a unit: write one such as {', '.join(list(UNITS)[:5])}.", field="prices"
            )
        if not 0 <= amount <= MAX_JSON_INTEGER:
            raise InvalidOverrideError(
                f"The price of {UNITS[unit].label} is no price: write 0 or more.", field="prices"
            )
    return dict(sorted(prices.items()))


def _basis_points(kind: OverrideKind, basis_points: int) -> int:
    if kind is not OverrideKind.PERCENT:
        if basis_points:
            raise InvalidOverrideError(f"An override that is {kind} has no percentage.", field="percent")
        return 0
    if not BASIS_POINTS_LEAST <= basis_points <= BASIS_POINTS_MOST:
        raise InvalidOverrideError(
            "A percentage lies between −100 (free) and 1,000 (eleven times the list price).", field="percent"
        )
    return basis_points
