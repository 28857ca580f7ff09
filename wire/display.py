"""Money, counts and times as people read them. Pure; no function takes or returns a float.

An amount that is not zero never shows as zero, and where an amount is shortened the exact one is at hand
(`usd_exact`), for the title of what is shown.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_compact_decimal, format_decimal, get_currency_precision, get_currency_symbol

from wire.money import decimal_from_micro, decimal_from_pico

LOCALE = "en_US"
_SIGNIFICANT = 6  # digits of an amount below one dollar: enough for a unit cost, short enough for a table
_WIDEST = 60  # digits of the widest sum that may come
_SMALLEST_SHARE = Decimal("0.001")
Amount = int | Decimal


def usd(amount: Amount) -> str:
    """USD for reading: two places from one dollar on, six significant digits at most below.

    An int is pico-USD, a Decimal is USD. `usd(41_550_000)` is "$0.00004155", `usd(Decimal("1234.5"))` is "$1,234.50".
    """
    value = _usd(amount)
    with localcontext() as context:
        if value == 0 or abs(value) >= 1:
            context.prec = _WIDEST
            return _dollars(value.quantize(Decimal("0.01"), ROUND_HALF_EVEN))
        context.prec = _SIGNIFICANT
        shortened = +value
    return _dollars(shortened)


def usd_among(amount: Amount, largest: Amount) -> str:
    """USD in a column whose largest amount is known: cents where dollars are about, as `usd` among smaller ones.

    What is not zero and less than a cent shows as "<$0.01" among dollars.
    """
    value = _usd(amount)
    if abs(_usd(largest)) < 1 or abs(value) >= 1:
        return usd(value)
    cents = value.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    if value and not cents:
        return f"{'−' if value < 0 else ''}<$0.01"
    return _dollars(cents)


def usd_exact(amount: Amount) -> str:
    """The same amount with every stored digit, and two places at least: "$0.00004155"."""
    return _dollars(_usd(amount))


def money(micro: int, currency: str) -> str:
    """Micro-units of a currency, exact: "$1,250.50", "€0.0001", "¥1,250"."""
    return _currency(decimal_from_micro(micro), currency)


def typed_amount(micro: int) -> str:
    """Micro-units as a person types them into a form: "1,250.50", and two places at least."""
    return usd_exact(decimal_from_micro(micro)).removeprefix("$")


def price_per_million(pico_per_unit: int) -> str:
    """A price per unit as people quote it, for a million units: `price_per_million(150_000)` is "$0.15"."""
    return usd_exact(pico_per_unit * 10**6)


def count(number: int) -> str:
    """A whole number with its thousands apart: "12,345"."""
    return str(format_decimal(number, locale=LOCALE))


def compact(number: int) -> str:
    """A large number in short: "1.2M". Below ten thousand it is written out."""
    if abs(number) < 10_000:
        return count(number)
    return str(format_compact_decimal(number, locale=LOCALE, fraction_digits=1))


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what it counts: "1 request", "12 requests"."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def percent(share: Decimal) -> str:
    """A share (1 is all) with one place: "17.2%". What is not nothing never shows as nothing: "<0.1%"."""
    if share and abs(share) < _SMALLEST_SHARE:
        return "<0.1%" if share > 0 else "−<0.1%"
    shown = (share * 100).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
    return f"{format_decimal(shown, locale=LOCALE)}%".replace("-", "−")


def share_of(part: Amount, whole: Amount) -> Decimal | None:
    """What share a part is of the whole; None when there is no whole."""
    return Decimal(part) / Decimal(whole) if whole else None


def duration(milliseconds: int) -> str:
    """How long something took: "840 ms", "1.24 s", "2 min 5 s"."""
    if milliseconds < 1000:
        return f"{count(milliseconds)} ms"
    if milliseconds < 60_000:
        return f"{(Decimal(milliseconds) / 1000).quantize(Decimal('0.01')).normalize():f} s"
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{value} {name}" for value, name in parts if value)


def zone_name(at: datetime, zone: str) -> str:
    """What a zone is called at a moment: "IST", "CET", or "UTC+03:00" where it has no letters of its own."""
    local = at.astimezone(ZoneInfo(zone))
    name = local.tzname() or ""
    return name if name.isalpha() else offset_name(at, zone)


def offset_name(at: datetime, zone: str) -> str:
    """How far a zone is from UTC at a moment: "UTC+05:30"."""
    offset = at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    sign = "-" if offset < timedelta() else "+"
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    return f"UTC{sign}{hours:02d}:{minutes:02d}" if offset else "UTC"


def moment(at: datetime, zone: str, *, year: bool = False) -> str:
    """A moment in a zone, to the second, with the zone named: "21 Nov 08:40:12 IST"."""
    pattern = "d MMM y HH:mm:ss" if year else "d MMM HH:mm:ss"
    return f"{_formatted(at, zone, pattern)} {zone_name(at, zone)}"


def moment_to_the_minute(at: datetime, zone: str, *, year: bool = False) -> str:
    """A moment that is known to the minute only: "21 Nov 08:40 IST"."""
    return f"{_formatted(at, zone, 'd MMM y HH:mm' if year else 'd MMM HH:mm')} {zone_name(at, zone)}"


def moment_exact(at: datetime, zone: str) -> str:
    """A moment with everything that tells it apart: "21 Nov 2026 08:40:12.345, Asia/Kolkata (UTC+05:30)"."""
    return f"{_formatted(at, zone, 'd MMM y HH:mm:ss.SSS')}, {zone} ({offset_name(at, zone)})"


def moment_utc(at: datetime) -> str:
    """A moment as machines read it: "2026-11-21T03:10:12Z"."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def day(of: date, *, year: bool = True) -> str:
    """A day: "21 Nov 2026", or "21 Nov"."""
    return str(format_date(of, "d MMM y" if year else "d MMM", locale=LOCALE))


def days(first: date, last: date) -> str:
    """A run of days, both included: "1–21 Nov 2026", "28 Oct – 3 Nov 2026"."""
    if first == last:
        return day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{day(last)}"
    return f"{day(first, year=first.year != last.year)} – {day(last)}"


def month(of: date) -> str:
    """A month: "November 2026"."""
    return str(format_date(of, "MMMM y", locale=LOCALE))


def _usd(amount: Amount) -> Decimal:
    return amount if isinstance(amount, Decimal) else decimal_from_pico(amount)


def _dollars(value: Decimal) -> str:
    return _currency(value, "USD")


def _currency(value: Decimal, code: str) -> str:
    """Every digit that is there, and at least as many places as the currency has."""
    with localcontext() as context:
        context.prec = _WIDEST
        places = max(get_currency_precision(code), -int(value.normalize().as_tuple().exponent))
        digits = format_decimal(abs(value), format=f"#,##0.{'0' * places}", locale=LOCALE, decimal_quantization=False)
    symbol = get_currency_symbol(code, locale=LOCALE)
    gap = " " if symbol[-1].isalpha() else ""
    return f"{'−' if value < 0 else ''}{symbol}{gap}{digits}"


def _formatted(at: datetime, zone: str, pattern: str) -> str:
    return str(format_datetime(at, pattern, tzinfo=ZoneInfo(zone), locale=LOCALE))
