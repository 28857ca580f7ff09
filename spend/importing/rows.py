"""What adapters make of a file: rows of one form, or a reason why a line cannot be taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from wire.events import Status
from wire.money import PICO_PER_USD
from wire.units import UNITS

DAY_SECONDS = 86_400
COSTS = "costs"  # the kind of buckets that hold money and no usage
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 10**11  # a Unix time this large is in milliseconds
_MOST_UNITS = 2**53
_MOST_USD = Decimal(10**15)
_NAME_LONGEST = 400
_DIGITS = re.compile(r"\d{1,16}", re.ASCII)
_UNFIT = re.compile("[\x00\ud800-\udfff]")  # what no database keeps in a text
_FOUR_BYTES = 2**32
_HTTP_MOST = 999
_NUMBER_LONGEST = 100  # signs, and powers of ten: beyond, reckoning with it takes long or cannot be done


class RowError(ValueError):
    """A line that cannot be taken. The message says what is wrong with it and what to write instead."""


class Record(NamedTuple):
    """A line or a document of a file. `line` counts from 1."""

    line: int
    value: dict[str, Any]


class Place(NamedTuple):
    """Where in a file something stands: the line, and within a JSON document its path."""

    line: int
    path: str = ""


class Bad(NamedTuple):
    """A row that cannot be taken, and why."""

    why: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One call, or one bucket of a report, as a file says it. Names are the provider's, until they are mapped."""

    ts: int  # Unix ms: of the call, or the bucket's beginning
    seconds: int = 0  # the bucket's width; 0 for a single call
    provider: str
    model: str
    units: dict[str, int] = {}
    calls: int = 1
    counted: bool = True  # the file says how many calls there were
    cost: int | None = None  # the provider's own, in pico-USD; None when the file has none
    identity: str = ""  # what makes it the same row wherever it comes again; "" when only its content does
    shape: str = ""  # of a bucket: its kind, width and grouping
    theirs: tuple[str, ...] = ()  # the provider's names of its key and project, what says most first
    project: str = ""  # ours, by id or name
    env: str = ""
    end_user: str = ""
    tags: dict[str, str] = {}
    service_tier: str = ""
    context: int = 0  # tokens of context that prices go by, where the file says it; 0: those of the row
    session: str = ""
    upstream_request_id: str = ""
    status: Status = Status.OK
    http_status: int = 200
    ttfb_ms: int = 0
    duration_ms: int = 0
    streamed: bool = False

    def __post_init__(self) -> None:
        if not self.provider:
            raise RowError("It names no provider.")
        if not self.model and self.cost is None:
            raise RowError("It names no model, so it has no price: export the report grouped by model.")
        for name in ("provider", "model", "upstream_request_id", "session", "service_tier", "end_user"):
            if len(getattr(self, name)) > _NAME_LONGEST:
                raise RowError(f"Its {name} is longer than {_NAME_LONGEST} characters.")
        if self.http_status > _HTTP_MOST:
            raise RowError(f"Its http_status is {self.http_status}: there is no such status.")
        for name in ("calls", "ttfb_ms", "duration_ms"):
            if getattr(self, name) >= _FOUR_BYTES:
                raise RowError(f"Its {name} is {getattr(self, name)}: that is too large.")
        if unknown := [name for name in self.units if name not in UNITS]:
            raise RowError(
                f"There is no unit {unknown[0][:60]!r}: units are {', '.join(list(UNITS)[:6])} … (docs/imports.md)."
            )
        if self.cost is not None and self.cost < 0:
            raise RowError("Its cost is negative: credits belong to an invoice, which is reconciled and not imported.")
        if self.seconds:
            width, within = self.seconds * 1000, self.ts % (DAY_SECONDS * 1000)
            if width > DAY_SECONDS * 1000 or self.ts % width or within + width > DAY_SECONDS * 1000:
                raise RowError("Its bucket must lie within one UTC day: export the report by day, hour or minute.")


def units_of(**counts: int) -> dict[str, int]:
    """Units without those that were not used. Raises RowError for a negative count: parts were more than their sum."""
    if any(count < 0 for count in counts.values()):
        name = next(name for name, count in counts.items() if count < 0)
        raise RowError(f"Its parts are more than their sum: that leaves {counts[name]:,} {name.replace('_', ' ')}.")
    return {name: count for name, count in counts.items() if count}


def text(value: Any) -> str:
    """A name; "" for none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return fit(value.strip())
    if isinstance(value, bool | int):
        return str(value).lower()
    raise RowError(f"{str(value)[:60]!r} is not a text.")


def fit(value: str) -> str:
    """A text that can be kept. Raises RowError for NUL and for halves of characters."""
    if _UNFIT.search(value):
        raise RowError(f"{value[:60]!r} has characters that no text can have.")
    return value


def decimal_of(value: str) -> Decimal:
    """A number as it is written. Raises RowError for what is none, or is so long or large that nothing has it."""
    try:
        found = Decimal(value) if len(value) <= _NUMBER_LONGEST else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or abs(found.adjusted()) > _NUMBER_LONGEST:
        raise RowError(f"{value[:60]!r} is no number.")
    return found


def whole(values: Mapping[str, Any], name: str, *, needed: bool = False) -> int:
    """A count; 0 where there is none. Raises RowError for what is no whole number from 0 on."""
    value = values.get(name)
    if value is None or value == "":
        if needed:
            raise RowError(f"{name} is missing.")
        return 0
    if isinstance(value, str):
        plain = value.strip().replace(",", "").removesuffix(".0")
        value = int(plain) if _DIGITS.fullmatch(plain) else value
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST_UNITS:
        raise RowError(f"{name} is {str(value)[:60]!r}: give a whole number from 0 on.")
    return value


def pico(value: Any, name: str, *, per_usd: int = 1) -> int | None:
    """An amount in USD, or in parts of which `per_usd` are one, in pico-USD, rounded half-even; None for none."""
    if value is None or value == "":
        return None
    try:
        amount = decimal_of(str(value).strip().removeprefix("$"))
    except RowError:
        raise RowError(f"{name} is {str(value)[:60]!r}: give an amount like 0.00123.") from None
    if abs(amount) >= _MOST_USD or amount.as_tuple().exponent < -60:  # type: ignore[operator]
        raise RowError(f"{name} is {str(value)[:60]!r}: that is no amount.")
    over, under = amount.as_integer_ratio()
    whole_part, left = divmod(over * PICO_PER_USD, under * per_usd)
    doubled = 2 * left - under * per_usd
    return whole_part + (doubled > 0 or (doubled == 0 and whole_part % 2 == 1))


def moment_ms(value: Any, name: str) -> int:
    """A moment as Unix ms: ISO 8601 (UTC when it names no offset), a day, or a Unix time in seconds or milliseconds."""
    found: datetime | None = None
    if isinstance(value, str) and not re.fullmatch(r"\d{9,14}(\.\d+)?", value.strip()):
        try:
            found = datetime.fromisoformat(value.strip())
        except ValueError:
            found = None
    elif value is not None and not isinstance(value, bool):
        try:
            number = decimal_of(str(value).strip())
            found = _EPOCH + timedelta(milliseconds=int(number if number >= _MILLISECONDS_FROM else number * 1000))
        except (OverflowError, ValueError):
            found = None
    if found is None:
        raise RowError(f"{name} is {str(value)[:60]!r}: give a moment like 2026-11-20T12:00:00Z.")
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    if not _EARLIEST <= found < _LATEST:
        raise RowError(f"{name} is {str(value)[:60]!r}: that is not in the years 2000 to 2099.")
    return (found - _EPOCH) // timedelta(milliseconds=1)


def utc_day(ms: int) -> date:
    """The UTC day of a moment."""
    return (_EPOCH + timedelta(milliseconds=ms)).date()


def identity_of(*parts: object) -> str:
    """What makes a row the same wherever it comes again."""
    return "\x1f".join(str(part) for part in parts)
