"""What a period is, what spend means for a budget, and how it is said. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from wire.money import usd_string

EXHAUSTED_PERCENT = 100


class BudgetError(ValueError):
    """A budget that cannot be kept as it was given. The message says what to write instead."""


@dataclass(frozen=True)
class Bounds:
    """A period: its days in the tenant's zone, both inside, and its moments; `ends_at` is the first one outside."""

    first_day: date
    last_day: date
    starts_at: datetime
    ends_at: datetime
    time_zone: str

    def share_gone(self, at: datetime) -> int:
        """How much of the period has passed, in whole percent from 0 to 100."""
        whole = self.ends_at - self.starts_at
        return max(0, min(100, (at - self.starts_at) * 100 // whole))


def month_of(at: datetime, time_zone: str) -> Bounds:
    """The calendar month that a moment belongs to in an IANA zone.

    A day begins with its first existing moment: where clocks jump over midnight that is later than 00:00.
    """
    local = at.astimezone(ZoneInfo(time_zone))
    first = date(local.year, local.month, 1)
    following = date(local.year + local.month // 12, local.month % 12 + 1, 1)
    return Bounds(
        first, following - timedelta(days=1), start_of(first, time_zone), start_of(following, time_zone), time_zone
    )


def start_of(day: date, time_zone: str) -> datetime:
    """The first moment of a day in a zone, in UTC.

    `fold=0` takes the earlier of two midnights. Of a midnight that does not exist, the offset from before the jump
    (PEP 495) gives the moment of the jump itself, which is where the day begins.
    """
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def percent_used(spent: int, limit: int) -> int:
    """Whole percent of a limit that is used, rounded down, so that 100 means used up and never nearly so."""
    return spent * 100 // limit


def reached(thresholds: Iterable[int], spent: int, limit: int) -> list[int]:
    """The thresholds (percent used) that spend has reached, rising. Exact: integers of pico-USD."""
    return sorted(each for each in set(thresholds) if spent * 100 >= limit * each)


@dataclass(frozen=True)
class Verdict:
    """What a reading of spend changes about a budget's period."""

    crossed: tuple[int, ...]  # thresholds newly reached, rising
    undone: tuple[int, ...]  # thresholds that stood and are no longer reached
    exhausted: bool  # as it is now
    turned: bool  # whether `exhausted` differs from before

    @property
    def told(self) -> int | None:
        """Of the thresholds that were crossed at once, only the highest is told."""
        return self.crossed[-1] if self.crossed else None


def judge(*, spent: int, limit: int, thresholds: Iterable[int], standing: Collection[int], exhausted: bool) -> Verdict:
    """Compare spend with a limit. `standing` are the thresholds whose crossings stand, `exhausted` the state so far.

    A threshold that was taken off the budget while its crossing stands keeps standing until spend falls below it.
    """
    now_reached = reached(thresholds, spent, limit)
    now_exhausted = spent >= limit
    return Verdict(
        crossed=tuple(each for each in now_reached if each not in standing),
        undone=tuple(sorted(each for each in standing if spent * 100 < limit * each)),
        exhausted=now_exhausted,
        turned=now_exhausted != exhausted,
    )


def exact_usd(pico: int) -> str:
    """An amount with all its digits and no trailing zeros ("$0.00012465", "$100"): nothing is ever rounded away."""
    whole, _, fraction = usd_string(pico).partition(".")
    sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    fraction = fraction.rstrip("0")
    if len(fraction) == 1:
        fraction += "0"  # $0.5 reads as a slip, $0.50 as money
    return f"{sign}${int(whole):,}" + (f".{fraction}" if fraction else "")


def local_moment(at: datetime, time_zone: str) -> str:
    """A moment as a person in a zone reads it: `1 Dec 00:00 Asia/Kolkata`."""
    local = at.astimezone(ZoneInfo(time_zone))
    return f"{local.day} {local:%b %H:%M} {time_zone}"


def block_message(*, name: str, spent: int, limit: int, ends_at: datetime, time_zone: str) -> str:
    """What a caller reads who is refused because of a budget."""
    used = f"{exact_usd(spent)} of {exact_usd(limit)}"
    return f'Budget "{name}" used: {used}. Resets {local_moment(ends_at, time_zone)}.'
