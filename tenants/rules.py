"""What names, zones, currencies and policies may be. Pure: each returns the value to store or raises RefusedError."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from babel.numbers import get_territory_currencies

from tenants.errors import InvalidNameError, InvalidSettingError

NAME_LONGEST = 120
PATTERNS_MOST = 100
PATTERN_LONGEST = 200
GRACE_LONGEST = timedelta(days=30)

# Category Cf also holds the joiners that Indic scripts and emoji need: of it, only what turns the text's direction
_TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HIDDEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_VISIBLE = set("LNPS")
_PATTERN = re.compile(r"[\x21-\x7e]+")


def clean_name(text: str, *, what: str) -> str:
    """A name of 1 to 120 characters, trimmed, in Unicode's composed form. `what` is what bears it: "project"."""
    name = unicodedata.normalize("NFC", text).strip()
    if not any(unicodedata.category(letter)[0] in _VISIBLE for letter in name):
        raise InvalidNameError(f"The {what} needs a name: write at least one letter or digit.", field="name")
    if len(name) > NAME_LONGEST:
        raise InvalidNameError(
            f"The name has {len(name)} characters: write at most {NAME_LONGEST}.",
            field="name",
        )
    if any(unicodedata.category(letter) in _HIDDEN or letter in _TURNING for letter in name):
        raise InvalidNameError(
            "The name has characters that cannot be seen, such as a line break or a tab: write it on one line.",
            field="name",
        )
    return name


@cache
def time_zones() -> tuple[str, ...]:
    """The IANA time zones that a tenant may choose: those of places, and UTC."""
    return tuple(sorted(name for name in available_timezones() if name == "UTC" or _is_place(name)))


def _is_place(name: str) -> bool:
    return "/" in name and not name.startswith(("Etc/", "SystemV/", "posix/", "right/", "US/"))


def clean_time_zone(name: str) -> str:
    """An IANA time zone such as `Asia/Kolkata`."""
    zone = name.strip()
    if zone not in time_zones():
        raise InvalidSettingError(
            f"{zone!r} is not a time zone of the IANA list: write it like Europe/Berlin or Asia/Kolkata, or UTC.",
            field="time_zone",
        )
    ZoneInfo(zone)
    return zone


@cache
def currencies() -> tuple[str, ...]:
    """The ISO 4217 codes of all currencies that are legal tender somewhere today (CLDR)."""
    found = set()
    for territory in Locale("en").territories:
        if len(str(territory)) == 2:
            found.update(get_territory_currencies(str(territory)))
    return tuple(sorted(found))


def clean_currency(code: str) -> str:
    """An ISO 4217 currency code such as `EUR`; small letters are taken too."""
    currency = code.strip().upper()
    if currency not in currencies():
        raise InvalidSettingError(
            f"{currency!r} is not the ISO 4217 code of a currency in use: write it like USD, EUR or INR.",
            field="currency",
        )
    return currency


def clean_environment(name: str, *, known: Iterable[str]) -> str:
    """One of this installation's environments."""
    known = tuple(known)
    if name not in known:
        raise InvalidSettingError(f"There is no environment {name!r}: choose one of {', '.join(known)}.", field="env")
    return name


EXPIRY_MOST_YEARS = 50


def clean_expiry(expires_at: datetime | None, *, now: datetime) -> datetime | None:
    """A moment in the future, with its zone; None for never."""
    if expires_at is None:
        return None
    if expires_at.tzinfo is None:
        raise ValueError("The expiry needs a time zone.")
    if (
        expires_at.year > now.year + EXPIRY_MOST_YEARS
    ):  # by the year: the calendar's last days have no UTC in every zone
        raise InvalidSettingError(
            f"The expiry lies more than {EXPIRY_MOST_YEARS} years ahead: choose an earlier day, or leave it empty for "
            "a key that does not expire.",
            field="expires_at",
        )
    if expires_at <= now:
        raise InvalidSettingError(
            "The expiry lies in the past: choose a later moment, or leave it empty for a key that does not expire.",
            field="expires_at",
        )
    return expires_at


def clean_grace(grace: timedelta) -> timedelta:
    """How long a rotated key goes on working: nothing to 30 days."""
    if not timedelta(0) <= grace <= GRACE_LONGEST:
        raise InvalidSettingError(
            f"The old key can go on working for at most {GRACE_LONGEST.days} days: choose a shorter time.",
            field="grace",
        )
    return grace


def clean_patterns(patterns: Iterable[str], *, field: str) -> list[str]:
    """Names of models or wildcards like `gpt-4o*`, without repetition and in the order given."""
    found = list(dict.fromkeys(each.strip() for each in patterns if each.strip()))
    if len(found) > PATTERNS_MOST:
        raise InvalidSettingError(
            f"{len(found)} models are listed: list at most {PATTERNS_MOST}, with wildcards like gpt-4o*.", field=field
        )
    for each in found:
        if len(each) > PATTERN_LONGEST or not _PATTERN.fullmatch(each):
            raise InvalidSettingError(
                f"{each[:60]!r} cannot be a model's name: use letters, digits and signs without spaces, "
                f"at most {PATTERN_LONGEST} characters, with * for any part.",
                field=field,
            )
    return found


BILLING_DAY_LAST = 28  # every month has it
QUOTA_MOST = 10_000_000
REASON_LONGEST = 300


def clean_billing_day(day: int) -> int:
    """The day of the month that a bill begins with, 1 to 28: a day that every month has."""
    if not 1 <= day <= BILLING_DAY_LAST:
        raise InvalidSettingError(
            f"The billing day is 1 to {BILLING_DAY_LAST}, a day that every month has: choose one of them.",
            field="billing_day",
        )
    return day


def clean_quota(most: int | None, *, field: str) -> int | None:
    """How many there may be; None for any number."""
    if most is not None and not 0 <= most <= QUOTA_MOST:
        raise InvalidSettingError(
            f"A quota is 0 to {QUOTA_MOST:,}: choose a number between, or leave it empty for no quota.", field=field
        )
    return most


def clean_reason(text: str) -> str:
    """Why something is stopped, in a line of at most 300 characters."""
    reason = " ".join(unicodedata.normalize("NFC", text).split())
    if not reason:
        raise InvalidSettingError("Write why: whoever asks later finds it here.", field="reason")
    if len(reason) > REASON_LONGEST:
        raise InvalidSettingError(
            f"The reason has {len(reason)} characters: write at most {REASON_LONGEST}.", field="reason"
        )
    if any(unicodedata.category(letter) in _HIDDEN or letter in _TURNING for letter in reason):
        raise InvalidSettingError("The reason has characters that cannot be seen: write it anew.", field="reason")
    return reason
