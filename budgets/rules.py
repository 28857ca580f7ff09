"""What a period is, what spend means for a budget, and how it is said. Pure: no database, no clock."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from budgets.errors import InvalidBudgetError
from wire.display import usd, usd_exact
from wire.money import MoneyError, micro_from_text

EXHAUSTED_PERCENT = 100
NAME_LONGEST = 80
THRESHOLDS_MOST, THRESHOLD_HIGHEST = 10, 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


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


def local_moment(at: datetime, time_zone: str) -> str:
    """A moment as a person in a zone reads it: `1 Dec 00:00 Asia/Kolkata`."""
    local = at.astimezone(ZoneInfo(time_zone))
    return f"{local.day} {local:%b %H:%M} {time_zone}"


def block_message(*, name: str, spent: int, limit: int, ends_at: datetime, time_zone: str, amount: str = "") -> str:
    """What a caller reads who is refused because of a budget. `amount` is the limit in another currency than USD."""
    used = f"{usd_exact(spent)} of {f'{usd(limit)} ({amount})' if amount else usd_exact(limit)}"
    return f'Budget "{name}" used: {used}. Resets {local_moment(ends_at, time_zone)}.'


def checked_name(text: str) -> str:
    """A budget's name: it stands in messages to callers, so it is one line of readable text without quotes."""
    name = " ".join(text.split())
    if not name:
        raise InvalidBudgetError("A budget needs a name.", field="name")
    if len(name) > NAME_LONGEST:
        raise InvalidBudgetError(f"A budget's name has {NAME_LONGEST} characters at most.", field="name")
    if '"' in name or _CONTROL.search(name):
        raise InvalidBudgetError("A budget's name cannot hold quotes or control characters.", field="name")
    return name


def checked_amount(text: str) -> int:
    """An amount as a person types it, in micro-units."""
    try:
        amount = micro_from_text(text)
    except MoneyError as error:
        raise InvalidBudgetError(str(error), field="amount") from error
    if amount == 0:
        raise InvalidBudgetError(
            "A budget needs an amount above zero. To stop all calls, disable the keys or suspend the tenant.",
            field="amount",
        )
    return amount


def checked_thresholds(given: Iterable[int | str], *, hard: bool) -> list[int]:
    """Percent used, rising, each once. A hard budget always tells at 100%, because calls are refused from there on."""
    found = set()
    for each in given:
        text = str(each).strip().removesuffix("%").strip()
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:5]) <= THRESHOLD_HIGHEST:
            raise InvalidBudgetError(
                f"{str(each)[:20]!r} is not a threshold: write whole percents from 1 to {THRESHOLD_HIGHEST}, "
                "like 50, 80, 100.",
                field="thresholds",
            )
        found.add(int(text))
    if hard:
        found.add(EXHAUSTED_PERCENT)
    if len(found) > THRESHOLDS_MOST:
        raise InvalidBudgetError(f"A budget has {THRESHOLDS_MOST} thresholds at most.", field="thresholds")
    if not found:
        raise InvalidBudgetError("A budget needs a threshold to tell people at, like 80.", field="thresholds")
    return sorted(found)


def checked_envs(given: Iterable[str], known: Collection[str]) -> list[str]:
    """The environments whose spend counts; none named: all of them."""
    found = {each.strip() for each in given if each.strip()}
    for each in sorted(found):
        if each not in known:
            raise InvalidBudgetError(
                f"There is no environment {each[:32]!r}: choose of {', '.join(known)}, or none for all.", field="envs"
            )
    return sorted(found)


def projected(spent: int, *, starts_at: datetime, ends_at: datetime, at: datetime) -> int:
    """What spend comes to at the period's end if it goes on at the average pace so far, in pico-USD.

    In a period's first twentieth there is too little to go by: it counts as a twentieth then.
    """
    whole = (ends_at - starts_at) // timedelta(seconds=1)
    gone = (min(at, ends_at) - starts_at) // timedelta(seconds=1)
    return spent * whole // max(gone, whole // 20, 1)


def effect_at_limit(*, hard: bool, envs: Collection[str], resets: str, exhausted: bool) -> str:
    """What happens at 100%, as a sentence; `resets` is the end of the period as people read it."""
    where = f"calls in {' and '.join(envs)}" if envs else "all calls"
    if exhausted:
        return (
            f"Until {resets}, {where} are refused with 402."
            if hard
            else f"{where.capitalize()} go on: the budget is soft."
        )
    return (
        f"At 100%, {where} are refused with 402 until {resets}."
        if hard
        else f"At 100%, people are told; {where} go on."
    )
