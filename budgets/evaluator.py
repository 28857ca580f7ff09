"""The evaluator: one tick compares what was spent with every active budget.

It reads all spend with one query, and may run twice, late or in parallel: a reading is written only while nobody has
written the period since it was read (`BudgetPeriod.revision`), and a crossing can stand only once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from budgets.converting import convert_for_past
from budgets.deciding import Reading, apply_reading, note_reading_failed, note_reading_works, open_period
from budgets.models import Budget, BudgetPeriod, Crossing
from budgets.rules import judge
from changes.actor import Actor
from spend.clickhouse.errors import ClickHouseError
from spend.queries.windows import Spent, Window, spent_in_windows
from tenants.scope import across_tenants

logger = structlog.get_logger(__name__)

EVALUATOR = Actor.system("budgets.evaluator")
_CHUNK = 500
ENDED_AT_ONCE = 500  # at a month's end there may be as many as there are budgets: a tick stays short

Reader = Callable[[Sequence[Window]], Mapping[str, Spent]]


@dataclass
class Tick:
    """What one tick did. `overtaken` counts budgets that somebody else wrote in the meantime."""

    evaluated: int = 0
    crossed: int = 0
    exhausted: int = 0
    recovered: int = 0
    overtaken: int = 0
    failed: int = 0
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(now: datetime | None = None, *, read: Reader = spent_in_windows) -> Tick:
    """Evaluate every active budget once, and what is left of periods that ended.

    When spend cannot be read nothing changes, and the next tick tries again.

    `read` says what was spent in many windows, with one query.
    """
    now = now or timezone.now()
    tick = Tick()
    with across_tenants("one tick evaluates the budgets of all tenants"):
        _open_periods(now, tick)
        periods = _current_periods(now) + _ended_periods(now)
        if not periods:
            return tick
        standing = _standing(periods)
        try:
            spent = read([_window(period, now) for period in periods])
        except ClickHouseError as error:
            tick.error = f"Spend could not be read: {error}"
            logger.warning("budgets not evaluated", error=str(error), budgets=len(periods))
            note_reading_failed(why=tick.error, at=now)
            return tick
        note_reading_works(at=now)
        _write(periods, standing, spent, now, tick)
    return tick


def _open_periods(now: datetime, tick: Tick) -> None:
    """Begin the period of every budget that has none now, or whose tenant moved to another zone."""
    holding = BudgetPeriod.objects.filter(
        budget=OuterRef("pk"), starts_at__lte=now, ends_at__gt=now, time_zone=OuterRef("tenant__time_zone")
    )
    active = Budget.objects.filter(status=Budget.Status.ACTIVE)
    for budget in active.filter(~Exists(holding)).select_related("tenant"):
        try:
            with transaction.atomic():
                open_period(budget, at=now, by=EVALUATOR)
        except Exception:
            tick.failed += 1
            logger.exception("budget period not opened", budget=budget.id)


def _current_periods(now: datetime) -> list[BudgetPeriod]:
    """Each with its budget, in one statement: a limit that changes later comes with a later revision."""
    return list(
        BudgetPeriod.objects.filter(
            budget__status=Budget.Status.ACTIVE, starts_at__lte=now, ends_at__gt=now
        ).select_related("budget", "budget__tenant")
    )


def _ended_periods(now: datetime) -> list[BudgetPeriod]:
    """Those that are over and were not read since all usage in them is counted; the longest unread first.

    A period that was cut short, because its tenant moved to a zone where its days are yet to come, is not over.
    """
    unread = Q(data_to=None) | Q(data_to__lt=F("ends_at"))
    found = list(
        BudgetPeriod.objects.filter(
            unread, budget__status=Budget.Status.ACTIVE, ends_at__lte=now, last_day__lte=now.astimezone(UTC).date()
        )
        .select_related("budget", "budget__tenant")
        .order_by(F("evaluated_at").asc(nulls_first=True), "pk")[:ENDED_AT_ONCE]
    )
    convert_for_past(found)
    return found


def _standing(periods: Sequence[BudgetPeriod]) -> Mapping[tuple[str, date], set[int]]:
    found: dict[tuple[str, date], set[int]] = defaultdict(set)
    rows = Crossing.objects.filter(
        kind=Crossing.Kind.THRESHOLD, undone_at=None, first_day__in={period.first_day for period in periods}
    )
    for budget_id, first_day, threshold in rows.values_list("budget_id", "first_day", "threshold"):
        found[budget_id, first_day].add(threshold)
    return found


def _window_id(period: BudgetPeriod, now: datetime) -> str:
    """A budget has one current period, and perhaps others that are over."""
    return period.budget_id if now < period.ends_at else f"{period.budget_id} {period.first_day}"


def _window(period: BudgetPeriod, now: datetime) -> Window:
    return Window(
        id=_window_id(period, now),
        tenant_id=period.tenant_id,
        first=period.first_day,
        last=period.last_day,
        envs=tuple(period.budget.envs),
    )


def _write(
    periods: Sequence[BudgetPeriod],
    standing: Mapping[tuple[str, date], set[int]],
    spent: Mapping[str, Spent],
    now: datetime,
    tick: Tick,
) -> None:
    """What changed a budget's state goes into a transaction of its own, so that one that fails holds up no other."""
    same: dict[datetime | None, list[int]] = defaultdict(list)
    moved: list[tuple[BudgetPeriod, Reading]] = []
    decisive: list[tuple[BudgetPeriod, Reading]] = []
    for period in periods:
        found = spent.get(_window_id(period, now))
        if found is None:  # never taken for "nothing was spent", which would lift a block
            tick.failed += 1
            logger.error("the spend of a budget was not answered", budget=period.budget_id)
            continue
        reading = Reading(found.charge, found.requests, found.data_to, now)
        here = standing.get((period.budget_id, period.first_day), set())
        if _decides(period, reading, here):
            decisive.append((period, reading))
        elif (reading.spent, reading.requests) == (period.spent, period.requests):
            same[reading.data_to].append(period.pk)
        else:
            moved.append((period, reading))
    for data_to, keys in same.items():
        # No new revision: a time stamp overtakes nobody.
        for first in range(0, len(keys), _CHUNK):
            BudgetPeriod.objects.filter(pk__in=keys[first : first + _CHUNK]).update(evaluated_at=now, data_to=data_to)
        tick.evaluated += len(keys)
    for first in range(0, len(moved), _CHUNK):
        with transaction.atomic():
            for period, reading in moved[first : first + _CHUNK]:
                _apply(period, reading, standing, now, tick)
    for period, reading in decisive:
        try:
            with transaction.atomic():
                _apply(period, reading, standing, now, tick)
        except Exception:
            tick.failed += 1
            logger.exception("budget not evaluated", budget=period.budget_id)


def _decides(period: BudgetPeriod, reading: Reading, standing: set[int]) -> bool:
    budget = period.budget
    verdict = judge(
        spent=reading.spent,
        limit=budget.limit,
        thresholds=budget.thresholds,
        standing=standing,
        exhausted=period.exhausted_at is not None,
    )
    return bool(
        verdict.crossed or verdict.undone or verdict.turned or (verdict.exhausted and reading.spent != period.spent)
    )


def _apply(
    period: BudgetPeriod,
    reading: Reading,
    standing: Mapping[tuple[str, date], set[int]],
    now: datetime,
    tick: Tick,
) -> None:
    verdict = apply_reading(
        period.budget,
        period,
        reading,
        standing=standing.get((period.budget_id, period.first_day), set()),
        at=now,
        by=EVALUATOR,
        cause="The spend was corrected and is below the limit",
    )
    if verdict is None:
        tick.overtaken += 1
        return
    tick.evaluated += 1
    tick.crossed += verdict.told is not None
    tick.exhausted += verdict.turned and verdict.exhausted
    tick.recovered += verdict.turned and not verdict.exhausted
