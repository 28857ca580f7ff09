"""What a source of rates gives, and how amounts are converted. Integers only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, Protocol

from wire.money import PICO_PER_MICRO

EURO = "EUR"
E8 = 10**8
_RATE_MOST = 10**9  # so many units for one euro are no currency's rate


class RatesError(Exception):
    """Rates cannot be read or used. Nothing was changed; the message says what was wrong."""


class Reference(NamedTuple):
    """One published figure: so many units of a currency for one euro, times 10 ** 8."""

    day: date
    currency: str
    rate_e8: int


class RateSource(Protocol):
    """A source of reference rates."""

    name: str

    def read(self, *, since: date) -> list[Reference]:
        """All figures published on a day or later. Raises RatesError when it cannot be read or used."""
        ...


class Rate(NamedTuple):
    """How a currency stands to USD: `units_e8` of it for `usd_e8` of USD, both per euro, of one and the same day."""

    currency: str
    day: date  # on which the figures were published: for a weekend or a holiday, the last day before
    units_e8: int
    usd_e8: int
    source: str

    def from_pico(self, pico_usd: int) -> int:
        """Pico-USD in micro-units of the currency, rounded half-even: the one rounding point of a conversion."""
        return _rounded(pico_usd * self.units_e8, self.usd_e8 * PICO_PER_MICRO)

    def to_micro_usd(self, micro: int) -> int:
        """Micro-units of the currency in micro-USD, rounded half-even: as fine as amounts that people set are."""
        return _rounded(micro * self.usd_e8, self.units_e8)

    @property
    def per_usd_e8(self) -> int:
        """Units of the currency for one USD, times 10 ** 8, rounded half-even: for display, never for converting."""
        return _rounded(self.units_e8 * E8, self.usd_e8)

    @property
    def per_usd(self) -> Decimal:
        """The same as people read it."""
        return Decimal(self.per_usd_e8).scaleb(-8)


def reference(day: date, currency: str, text: str) -> Reference:
    """A figure as it is printed. Raises RatesError when it is none."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation as error:
        raise RatesError(f"The rate of {currency} on {day} is {text[:40]!r}, which is no number.") from error
    if not value.is_finite() or not 0 < value < _RATE_MOST:
        raise RatesError(f"The rate of {currency} on {day} is {text[:40]!r}, which no rate can be.")
    scaled = value * E8
    if scaled != int(scaled):
        raise RatesError(f"The rate of {currency} on {day} has more than eight places: {text[:40]!r}.")
    return Reference(day, currency, int(scaled))


def checked(found: Iterable[Reference], source: str) -> list[Reference]:
    """The figures, each day and currency once, in order. Raises RatesError for none, or for two that differ."""
    kept: dict[tuple[date, str], Reference] = {}
    for each in found:
        if kept.setdefault((each.day, each.currency), each) != each:
            raise RatesError(f"{source} gives two rates of {each.currency} for {each.day}.")
    if not kept:
        raise RatesError(f"{source} gives no rates.")
    return [kept[name] for name in sorted(kept)]


def _rounded(numerator: int, denominator: int) -> int:
    sign = -1 if numerator < 0 else 1
    whole, left = divmod(abs(numerator), denominator)
    return sign * (whole + (2 * left > denominator or (2 * left == denominator and whole % 2 == 1)))
