"""What people read: no amount that is not zero shows as zero, and no zone goes unnamed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import display
from wire.money import PICO_PER_USD, decimal_from_pico


@pytest.mark.parametrize(
    ("amount", "shown", "exact"),
    [
        (0, "$0.00", "$0.00"),
        (1, "$0.000000000001", "$0.000000000001"),
        (41_550_000, "$0.00004155", "$0.00004155"),
        (124_650_000, "$0.00012465", "$0.00012465"),
        (PICO_PER_USD, "$1.00", "$1.00"),
        (Decimal("0.5"), "$0.50", "$0.50"),
        (Decimal("0.123456789"), "$0.123457", "$0.123456789"),
        (Decimal("1234.505000000001"), "$1,234.51", "$1,234.505000000001"),
        (Decimal("-12.3"), "−$12.30", "−$12.30"),
        (
            Decimal("98765432109876543210987654.1255"),
            "$98,765,432,109,876,543,210,987,654.13",
            "$98,765,432,109,876,543,210,987,654.1255",
        ),
    ],
)
def test_usd_is_short_and_the_exact_amount_is_at_hand(amount, shown, exact):
    assert display.usd(amount) == shown
    assert display.usd_exact(amount) == exact


@given(st.integers(min_value=1, max_value=10**30))
def test_what_is_not_zero_never_shows_as_zero(pico):
    assert any(digit in display.usd(pico) for digit in "123456789")
    assert Decimal(display.usd_exact(pico).replace("$", "").replace(",", "")) == decimal_from_pico(pico)


@pytest.mark.parametrize(
    ("amount", "largest", "shown"),
    [
        ("0.902702", "18.75", "$0.90"),
        ("0.902702", "0.95", "$0.902702"),
        ("0.0001", "18.75", "<$0.01"),
        ("-0.0001", "18.75", "−<$0.01"),
        ("0", "18.75", "$0.00"),
        ("1234.567", "1234.567", "$1,234.57"),
    ],
)
def test_a_column_of_dollars_has_cents(amount, largest, shown):
    assert display.usd_among(Decimal(amount), Decimal(largest)) == shown


@pytest.mark.parametrize(
    ("micro", "currency", "shown"),
    [
        (1_250_500_000, "USD", "$1,250.50"),
        (100, "USD", "$0.0001"),
        (100, "EUR", "€0.0001"),
        (1_250_000_000, "JPY", "¥1,250"),
        (5, "CHF", "CHF 0.000005"),
        (-1_000_000, "INR", "−₹1.00"),
    ],
)
def test_money_shows_every_micro_unit(micro, currency, shown):
    assert display.money(micro, currency) == shown


def test_prices_are_quoted_for_a_million():
    assert display.price_per_million(150_000) == "$0.15"
    assert display.price_per_million(1) == "$0.000001"


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        ("0", "0%"),
        ("0.1724", "17.2%"),
        ("-0.074", "−7.4%"),
        ("0.00001", "<0.1%"),
        ("-0.00001", "−<0.1%"),
        ("12.5", "1,250%"),
    ],
)
def test_percent(share, shown):
    assert display.percent(Decimal(share)) == shown


def test_a_share_of_nothing_is_no_share():
    assert display.share_of(Decimal("1"), Decimal("4")) == Decimal("0.25")
    assert display.share_of(1, 0) is None


def test_counts():
    assert display.count(1_234_567) == "1,234,567"
    assert display.compact(9_999) == "9,999"
    assert display.compact(1_234_567) == "1.2M"
    assert display.counted(1, "request") == "1 request"
    assert display.counted(12, "request") == "12 requests"
    assert display.counted(2, "policy", "policies") == "2 policies"


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0, "0 ms"), (840, "840 ms"), (1_240, "1.24 s"), (10_000, "10 s"), (125_000, "2 min 5 s"), (3_600_000, "1 h")],
)
def test_duration(milliseconds, shown):
    assert display.duration(milliseconds) == shown


@pytest.mark.parametrize(
    ("zone", "shown", "exact"),
    [
        ("Asia/Kolkata", "21 Nov 08:40:12 IST", "21 Nov 2026 08:40:12.345, Asia/Kolkata (UTC+05:30)"),
        ("UTC", "21 Nov 03:10:12 UTC", "21 Nov 2026 03:10:12.345, UTC (UTC)"),
        ("America/Sao_Paulo", "21 Nov 00:10:12 UTC-03:00", "21 Nov 2026 00:10:12.345, America/Sao_Paulo (UTC-03:00)"),
        ("Europe/Berlin", "21 Nov 04:10:12 CET", "21 Nov 2026 04:10:12.345, Europe/Berlin (UTC+01:00)"),
    ],
)
def test_a_moment_names_its_zone(zone, shown, exact):
    at = datetime(2026, 11, 21, 3, 10, 12, 345_000, tzinfo=UTC)
    assert display.moment(at, zone) == shown
    assert display.moment_exact(at, zone) == exact
    assert display.moment_utc(at) == "2026-11-21T03:10:12Z"


def test_days():
    assert display.day(date(2026, 11, 21)) == "21 Nov 2026"
    assert display.days(date(2026, 11, 21), date(2026, 11, 21)) == "21 Nov 2026"
    assert display.days(date(2026, 11, 1), date(2026, 11, 21)) == "1–21 Nov 2026"
    assert display.days(date(2026, 10, 28), date(2026, 11, 3)) == "28 Oct – 3 Nov 2026"
    assert display.days(date(2025, 12, 28), date(2026, 1, 3)) == "28 Dec 2025 – 3 Jan 2026"
    assert display.month(date(2026, 11, 1)) == "November 2026"
