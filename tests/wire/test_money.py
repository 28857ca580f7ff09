"""Money is whole numbers: what goes in comes out, and what cannot be kept is refused with a sentence."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import money
from wire.money import MoneyError


@pytest.mark.parametrize(
    ("amount", "per", "pico", "rounded"),
    [
        ("0.15", 10**6, 150_000, False),
        ("0", 10**6, 0, False),
        ("0.36", 3600, 100_000_000, False),
        ("0.111", 3600, 30_833_333, True),
        ("0.000001", 10**6, 1, False),
        ("0.0000005", 10**6, 0, True),  # half goes to the even neighbour …
        ("0.0000015", 10**6, 2, True),
        ("0.0000025", 10**6, 2, True),
        ("0.00000250000000000000000000000000000001", 10**6, 3, True),  # … and what is more than half does not
        ("1E+3", 1, 10**15, False),
    ],
)
def test_a_price_is_rounded_half_even_once(amount, per, pico, rounded):
    assert money.pico_per_unit(Decimal(amount), per) == (pico, rounded)


@given(st.integers(0, 10**40).map(lambda digits: Decimal(digits).scaleb(-31)), st.integers(1, 10**9))
def test_a_price_is_the_closest_whole_number(amount, per):
    pico, rounded = money.pico_per_unit(amount, per)
    exact = Fraction(amount) * money.PICO_PER_USD / per
    assert abs(exact - pico) <= Fraction(1, 2)
    assert rounded == (exact != pico)


@pytest.mark.parametrize("amount", ["-1", "-0.0000000000001", "NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_amount_is_no_price(amount):
    with pytest.raises(MoneyError, match="is not a price"):
        money.pico_from_usd(Decimal(amount))


@pytest.mark.parametrize("amount", ["1E+16", "1E+999999", "1E-61", "1E-999999"])
def test_absurd_prices_are_refused_before_they_become_absurd_integers(amount):
    with pytest.raises(MoneyError, match="too large, or has too many digits"):
        money.pico_per_unit(Decimal(amount), 1)


def test_a_price_is_for_at_least_one_unit():
    with pytest.raises(MoneyError, match="cannot be for 0 units"):
        money.pico_per_unit(Decimal(1), 0)


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (0, "0.000000000000"),
        (1, "0.000000000001"),
        (41_550_000, "0.000041550000"),
        (-41_550_000, "-0.000041550000"),
        (10**12, "1.000000000000"),
        (-(10**12) - 1, "-1.000000000001"),
        (123_456_789 * 10**12 + 5, "123456789.000000000005"),
    ],
)
def test_amounts_travel_as_text_with_twelve_places(pico, text):
    assert money.usd_string(pico) == text
    assert money.pico_from_usd_string(text) == pico


@given(st.integers(-(10**26), 10**26))
def test_what_is_written_is_read_again(pico):
    assert money.pico_from_usd_string(money.usd_string(pico)) == pico
    assert money.decimal_from_pico(pico) * 10**12 == pico


@pytest.mark.parametrize(
    "text", ["", " 1", "1,5", "1e3", "NaN", "Infinity", "+1", "--1", "1.", ".5", "١", "0x1", "1" * 31]
)
def test_other_text_is_no_amount_of_usd(text):
    with pytest.raises(MoneyError, match="is not an amount of USD"):
        money.pico_from_usd_string(text)


def test_trailing_zeros_are_no_digits_and_finer_ones_are_refused():
    assert money.pico_from_usd_string("0.5") == 5 * 10**11
    assert money.pico_from_usd_string("0.0000000000010000") == 1
    with pytest.raises(MoneyError, match="finer than a pico-USD"):
        money.pico_from_usd_string("0.0000000000001")


@pytest.mark.parametrize(("pico", "nano"), [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (-1, 0), (-1000, -1)])
def test_a_hold_never_falls_short_of_the_cost(pico, nano):
    assert money.nano_ceiling(pico) == nano


@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("0.0001", 100),
        ("1250.5", 1_250_500_000),
        ("1,250.5", 1_250_500_000),
        ("$0.0001", 100),
        ("$ 5", 5_000_000),
        ("1 000 000", 10**12),
        ("1_000", 10**9),
        (" 20 ", 20_000_000),
        (".5", 500_000),
        ("007", 7_000_000),
        ("0.1000000000", 100_000),
        ("9223372036854.775807", 2**63 - 1),
    ],
)
def test_people_write_amounts_in_several_ways(text, micro):
    assert money.micro_from_text(text) == micro


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not an amount"),
        (".", "is not an amount"),
        ("five", "is not an amount"),
        ("1e3", "is not an amount"),
        ("NaN", "is not an amount"),
        ("5.", "is not an amount"),
        ("1.250,50", "is not an amount"),  # never 1.25
        ("1,25", "is not an amount"),  # never 125
        ("1,2500", "is not an amount"),
        ("1.5.0", "is not an amount"),
        ("١٢", "is not an amount"),
        ("9" * 5000, "too large"),
        ("-5", "cannot be negative"),
        ("−5", "cannot be negative"),
        ("0.0000001", "six decimal places"),
        ("1.00000000000000000000000000000000001", "six decimal places"),  # never rounded away
        ("9223372036854.775808", "too large"),
    ],
)
def test_what_could_be_misread_is_refused(text, said):
    with pytest.raises(MoneyError, match=said):
        money.micro_from_text(text)


def test_a_refusal_does_not_repeat_pages_of_what_was_typed():
    with pytest.raises(MoneyError) as refusal:
        money.micro_from_text("x" * 10_000)
    assert len(str(refusal.value)) < 200


@given(st.integers(0, 2**63 - 1))
def test_micro_units_are_exact_both_ways(micro):
    assert money.micro_from_text(f"{money.decimal_from_micro(micro):f}") == micro
