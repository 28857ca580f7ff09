"""Money as integers.

A price is an integer of pico-USD (1e-12 USD) per unit; a cost is an integer of pico-USD. Budgets and other
amounts that people type are integers of micro-units of a named currency. No function here takes or returns a float.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

PICO_PER_USD = 10**12
PICO_PER_NANO = 10**3
PICO_PER_MICRO = 10**6
MICRO = 10**6

# KV documents are JSON that any runtime may read: integers above this lose digits in JavaScript.
MAX_JSON_INTEGER = 2**53 - 1


class MoneyError(ValueError):
    """An amount that cannot be taken as it is; the message says what to write instead."""


def pico_from_usd(amount: Decimal) -> tuple[int, bool]:
    """Turn USD into pico-USD, rounded half-even.

    Returns the integer and whether digits beyond a pico-USD were lost, so that callers can report it.
    Raises MoneyError for a negative or non-finite amount.
    """
    if not amount.is_finite() or amount < 0:
        raise MoneyError(f"{amount} is not a price: give a finite number that is not negative.")
    with localcontext() as context:
        context.prec = 60
        exact = amount * PICO_PER_USD
        rounded = exact.to_integral_value(rounding=ROUND_HALF_EVEN)
    return int(rounded), rounded != exact


def pico_per_unit(amount_usd: Decimal, per: int) -> tuple[int, bool]:
    """Turn "amount_usd USD for `per` units" into pico-USD per unit: the one rounding point of a price.

    Returns the integer and whether it was rounded (half-even).
    """
    if per < 1:
        raise MoneyError(f"A price cannot be for {per} units: give a whole number from 1.")
    if not amount_usd.is_finite() or amount_usd < 0:
        raise MoneyError(f"{amount_usd} is not a price: give a finite number that is not negative.")
    with localcontext() as context:
        context.prec = 60
        scaled = amount_usd * PICO_PER_USD
        rounded = (scaled / per).to_integral_value(rounding=ROUND_HALF_EVEN)
        return int(rounded), rounded * per != scaled


def usd_string(pico: int) -> str:
    """Write pico-USD as a decimal string of USD with twelve places: the form money has in events and KV totals."""
    sign = "-" if pico < 0 else ""
    whole, fraction = divmod(abs(pico), PICO_PER_USD)
    return f"{sign}{whole}.{fraction:012d}"


def pico_from_usd_string(text: str) -> int:
    """Read what `usd_string` wrote, exactly. Raises MoneyError when the text is not such a number."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise MoneyError(f"{text!r} is not an amount of USD: write it like 0.000041550000.") from error
    if not value.is_finite():
        raise MoneyError(f"{text!r} is not an amount of USD: write it like 0.000041550000.")
    with localcontext() as context:
        context.prec = 60
        scaled = value * PICO_PER_USD
        whole = scaled.to_integral_value()
    if whole != scaled:
        raise MoneyError(f"{text!r} is finer than a pico-USD (twelve places).")
    return int(whole)


def nano_ceiling(pico: int) -> int:
    """Nano-USD, rounded up: the unit of holds and counters, which must never fall short of the cost."""
    return -(-pico // PICO_PER_NANO)


def micro_from_text(text: str) -> int:
    """Read an amount that a person typed ("1,250.5", "0.0001") as micro-units of its currency.

    Raises MoneyError when it is not a number, is negative, or is finer than a micro-unit (six places).
    """
    try:
        value = Decimal(text.replace(",", "").replace("_", "").replace(" ", "").strip())
    except InvalidOperation as error:
        raise MoneyError(f"{text!r} is not an amount: write it like 1250.50.") from error
    if not value.is_finite() or value < 0:
        raise MoneyError("An amount cannot be negative.")
    scaled = value * MICRO
    if scaled != scaled.to_integral_value():
        raise MoneyError("An amount can have six decimal places at most.")
    if scaled >= 2**63:
        raise MoneyError("That amount is too large to keep.")
    return int(scaled)


def decimal_from_pico(pico: int) -> Decimal:
    """The amount in USD, exact, for display and for ClickHouse's Decimal(38, 12)."""
    return Decimal(usd_string(pico))


def decimal_from_micro(micro: int) -> Decimal:
    """The amount in whole currency units, exact, for display."""
    return Decimal(micro).scaleb(-6)
