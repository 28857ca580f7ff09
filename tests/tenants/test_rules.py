"""What names, zones, currencies, expiries and patterns may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants import rules
from tenants.errors import InvalidNameError, InvalidSettingError, RefusedError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("Acme", "Acme"),
        ("  Acme \n", "Acme"),
        ("7", "7"),
        ("Søren's café · Δ", "Søren's café · Δ"),
        ("Cafe\u0301", "Café"),
        ("क्‍ष", "क्‍ष"),  # a joiner that Hindi needs
        ("👩‍🔬 lab", "👩‍🔬 lab"),
        ("x" * 120, "x" * 120),
    ],
)
def test_names_that_are_taken(given_name, name):
    assert rules.clean_name(given_name, what="tenant") == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "needs a name"),
        (" \t ", "needs a name"),
        ("\u200b\u200d", "needs a name"),
        ("x" * 121, "121 characters"),
        ("a\nb", "one line"),
        ("a\x00b", "one line"),
        ("a\u2028b", "one line"),
        ("invoice\u202efdp", "one line"),
    ],
)
def test_names_that_are_refused(name, said):
    with pytest.raises(InvalidNameError, match=said) as refused:
        rules.clean_name(name, what="tenant")
    assert refused.value.field == "name"


@given(st.text(max_size=200))
def test_a_name_that_is_taken_is_taken_again_unchanged(text):
    try:
        name = rules.clean_name(text, what="tenant")
    except RefusedError:
        return
    assert rules.clean_name(name, what="tenant") == name
    assert 1 <= len(name) <= rules.NAME_LONGEST
    assert name == name.strip()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/Argentina/Buenos_Aires"])
def test_time_zones_of_places_are_taken(zone):
    assert rules.clean_time_zone(zone) == zone


@pytest.mark.parametrize("zone", ["", "IST", "Mars/Olympus", "../../etc/passwd", "Etc/GMT+5", "asia/kolkata"])
def test_other_time_zones_are_refused(zone):
    with pytest.raises(InvalidSettingError, match="Asia/Kolkata") as refused:
        rules.clean_time_zone(zone)
    assert refused.value.field == "time_zone"


@pytest.mark.parametrize(("code", "currency"), [("USD", "USD"), ("eur", "EUR"), (" inr ", "INR"), ("JPY", "JPY")])
def test_currencies_in_use_are_taken(code, currency):
    assert rules.clean_currency(code) == currency


@pytest.mark.parametrize("code", ["", "DEM", "XAU", "XXX", "US", "Dollar", "BTC"])
def test_other_currencies_are_refused(code):
    with pytest.raises(InvalidSettingError, match="ISO 4217") as refused:
        rules.clean_currency(code)
    assert refused.value.field == "currency"


def test_an_expiry_lies_in_the_future_or_is_absent():
    later = NOW + timedelta(seconds=1)
    assert rules.clean_expiry(None, now=NOW) is None
    assert rules.clean_expiry(later, now=NOW) == later
    for past in (NOW, NOW - timedelta(days=1)):
        with pytest.raises(InvalidSettingError, match="in the past"):
            rules.clean_expiry(past, now=NOW)
    with pytest.raises(InvalidSettingError, match="50 years ahead"):
        rules.clean_expiry(datetime.max.replace(tzinfo=ZoneInfo("America/New_York")), now=NOW)
    with pytest.raises(ValueError, match="time zone"):
        rules.clean_expiry(datetime(2027, 1, 1), now=NOW)  # noqa: DTZ001 - that it has none is the point


def test_patterns_are_trimmed_kept_in_order_and_said_once():
    given_patterns = [" gpt-4o* ", "", "claude-*", "gpt-4o*", "ft:gpt-4o:acme::x/y"]
    assert rules.clean_patterns(given_patterns, field="allowed_models") == [
        "gpt-4o*",
        "claude-*",
        "ft:gpt-4o:acme::x/y",
    ]


@pytest.mark.parametrize("pattern", ["gpt 4o", "modèle", "x" * 201, "a\tb"])
def test_what_cannot_be_a_models_name_is_refused(pattern):
    with pytest.raises(InvalidSettingError, match="cannot be a model's name") as refused:
        rules.clean_patterns([pattern], field="denied_models")
    assert refused.value.field == "denied_models"


def test_a_list_of_patterns_has_an_end():
    with pytest.raises(InvalidSettingError, match="at most 100"):
        rules.clean_patterns([f"m{n}" for n in range(101)], field="allowed_models")


def test_an_unknown_environment_is_refused_with_the_known_ones():
    assert rules.clean_environment("dev", known=("dev", "prod")) == "dev"
    with pytest.raises(InvalidSettingError, match="choose one of dev, prod"):
        rules.clean_environment("staging", known=("dev", "prod"))
