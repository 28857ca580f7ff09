"""Money as integers.

A price is an integer of pico-USD (1e-12 USD) per unit; a cost is an integer of pico-USD. Budgets and other
amounts that people type are integers of micro-units of a named currency. No function here takes or returns a float.
"""

from __future__ import annotations

import re
from decimal import Decimal

PICO_PER_USD = 10**12
PICO_PER_NANO = 10**3
PICO_PER_MICRO = 10**6
MICRO = 10**6

# KV documents are JSON that any runtime may read: integers above this lose digits in JavaScript.
MAX_JSON_INTEGER = 2**53 - 1

_PLACES = 12
_MOST_DIGITS, _FINEST_DIGIT = 15, 60  # what lies beyond is no price, and would make integers of absurd length
_USD = re.compile(r"(-)?(\d{1,30})(?:\.(\d{1,60}))?", re.ASCII)
_TYPED = re.compile(r"(?P<whole>\d+|\d{1,3}(?:[,_ ]\d{3})+)?(?:\.(?P<fraction>\d+))?", re.ASCII)


class MoneyError(ValueError):
    """An amount that cannot be taken as it is; the message says what to write instead."""


def pico_from_usd(amount: Decimal) -> tuple[int, bool]:
    """Turn USD into pico-USD, rounded half-even.

    Returns the integer and whether digits beyond a pico-USD were lost, so that callers can report it.
    Raises MoneyError for an amount that is negative, not finite, or beyond any price.
    """
    return pico_per_unit(amount, 1)


def pico_per_unit(amount_usd: Decimal, per: int) -> tuple[int, bool]:
    """Turn "amount_usd USD for `per` units" into pico-USD per unit: the one rounding point of a price.

    Returns the integer and whether it was rounded (half-even). Raises MoneyError as `pico_from_usd` does.
    """
    if per < 1:
        raise MoneyError(f"A price cannot be for {per} units: give a whole number from 1.")
    if not amount_usd.is_finite() or amount_usd < 0:
        raise MoneyError(f"{amount_usd} is not a price: give a finite number that is not negative.")
    exponent = amount_usd.as_tuple().exponent
    if amount_usd.adjusted() > _MOST_DIGITS or (isinstance(exponent, int) and exponent < -_FINEST_DIGIT):
        raise MoneyError(f"{amount_usd} is not a price: it is too large, or has too many digits.")
    numerator, denominator = amount_usd.as_integer_ratio()
    scaled, whole_unit = numerator * PICO_PER_USD, denominator * per
    pico, left = divmod(scaled, whole_unit)
    if 2 * left > whole_unit or (2 * left == whole_unit and pico % 2):
        pico += 1
    return pico, left != 0


def usd_string(pico: int) -> str:
    """Write pico-USD as a decimal string of USD with twelve places: the form money has in events and KV totals."""
    sign = "-" if pico < 0 else ""
    whole, fraction = divmod(abs(pico), PICO_PER_USD)
    return f"{sign}{whole}.{fraction:012d}"


def pico_from_usd_string(text: str) -> int:
    """Read what `usd_string` wrote, exactly. Raises MoneyError when the text is not such a number."""
    match = _USD.fullmatch(text)
    if match is None:
        raise MoneyError(f"{text!r} is not an amount of USD: write it like 0.000041550000.")
    sign, whole, fraction = match.groups(default="")
    if len(fraction.rstrip("0")) > _PLACES:
        raise MoneyError(f"{text!r} is finer than a pico-USD (twelve places).")
    pico = int(whole) * PICO_PER_USD + int(fraction[:_PLACES].ljust(_PLACES, "0"))
    return -pico if sign else pico


def nano_ceiling(pico: int) -> int:
    """Nano-USD, rounded up: the unit of holds and counters, which must never fall short of the cost."""
    return -(-pico // PICO_PER_NANO)


def micro_from_text(text: str) -> int:
    """Read an amount that a person typed ("1,250.5", "0.0001") as micro-units of its currency.

    A dollar sign may stand before it. A comma, an underscore or a space may only separate thousands, so that "1.250,50"
    is refused and never read as 1.25.
    Raises MoneyError when it is not a number, is negative, is finer than a micro-unit (six places) or too large.
    """
    stripped = text.strip().removeprefix("$").lstrip()
    if stripped.startswith(("-", "−")):
        raise MoneyError("An amount cannot be negative.")
    match = _TYPED.fullmatch(stripped)
    if match is None or not match.group():
        raise MoneyError(f"{text[:40]!r} is not an amount: write it like 1250.50 or 1,250.50.")
    whole = re.sub(r"[,_ ]", "", match["whole"] or "0")
    fraction = (match["fraction"] or "").rstrip("0")
    if len(fraction) > 6:
        raise MoneyError("An amount can have six decimal places at most.")
    if len(whole.lstrip("0")) > 13 or (micro := int(whole) * MICRO + int(fraction.ljust(6, "0"))) >= 2**63:
        raise MoneyError("That amount is too large to keep.")
    return micro


def decimal_from_pico(pico: int) -> Decimal:
    """The amount in USD, exact, for display and for ClickHouse's Decimal(38, 12)."""
    return Decimal(usd_string(pico))


def decimal_from_micro(micro: int) -> Decimal:
    """The amount in whole currency units, exact, for display."""
    return Decimal(micro).scaleb(-6)
