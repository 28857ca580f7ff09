"""What a reading of spend does to a budget's period: where crossings, blocks and recoveries are written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.db.models import F

from budgets.converting import convert_anew
from budgets.models import Budget, BudgetPeriod, Crossing, Decision
from budgets.rules import EXHAUSTED_PERCENT, Bounds, Verdict, judge, local_moment, month_of
from changes.actor import Actor
from changes.record import Publish, Topic, record
from wire.display import days, usd_exact


@dataclass(frozen=True)
class Reading:
    """What was spent in a period as far as somebody knew at `read_at`; None there when nobody has looked yet."""

    spent: int  # pico-USD
    requests: int
    data_to: datetime | None
    read_at: datetime | None

    @classmethod
    def last_of(cls, period: BudgetPeriod) -> Reading:
        """What the period itself remembers."""
        return cls(period.spent, period.requests, period.data_to, period.evaluated_at)


def standing_thresholds(period: BudgetPeriod) -> set[int]:
    """The thresholds whose crossings stand in a period."""
    return set(
        Crossing.objects.filter(
            budget=period.budget_id, first_day=period.first_day, kind=Crossing.Kind.THRESHOLD, undone_at=None
        ).values_list("threshold", flat=True)
    )


def apply_reading(
    budget: Budget,
    period: BudgetPeriod,
    reading: Reading,
    *,
    standing: Collection[int],
    at: datetime,
    by: Actor,
    cause: str,
) -> Verdict | None:
    """Bring a period in line with a reading, inside the caller's transaction.

    `cause` says why spend may be below the limit again, for the people who are told. Returns None, with nothing
    written, when somebody wrote the period after `period` was read: their reading is the newer one.
    """
    verdict = judge(
        spent=reading.spent,
        limit=budget.limit,
        thresholds=budget.thresholds,
        standing=standing,
        exhausted=period.exhausted_at is not None,
    )
    over = period.ends_at <= at
    if over:  # what is counted late is told; there is nothing left to block or to recover
        verdict = replace(verdict, turned=False)
        exhausted_at = period.exhausted_at
    else:
        exhausted_at = (period.exhausted_at or at) if verdict.exhausted else None
    written = BudgetPeriod.objects.filter(pk=period.pk, revision=period.revision).update(
        spent=reading.spent,
        requests=reading.requests,
        data_to=reading.data_to,
        evaluated_at=reading.read_at,
        exhausted_at=exhausted_at,
        revision=F("revision") + 1,
    )
    if not written:
        return None
    corrected = reading.spent != period.spent
    period.revision += 1
    period.spent, period.exhausted_at = reading.spent, exhausted_at
    period.requests, period.data_to, period.evaluated_at = reading.requests, reading.data_to, reading.read_at
    _write_crossings(budget, period, verdict, at=at, cause=cause)
    if verdict.turned:
        _turn(budget, period, verdict, at=at, by=by, cause=cause)
    elif verdict.exhausted and corrected and budget.is_hard and not over:
        # The refusal names the amount, so a late event changes what callers read.
        _record_block(budget, period, "budget.block_corrected", by=by)
    return verdict


def open_period(budget: Budget, *, at: datetime, by: Actor) -> BudgetPeriod:
    """The period that a moment belongs to, made when it begins; what ends with the one before it ends here.

    Runs inside the caller's transaction. Of several callers at once, one makes the row and ends the old period.
    """
    bounds = month_of(at, budget.tenant.time_zone)
    period, made = BudgetPeriod.objects.get_or_create(
        budget=budget,
        first_day=bounds.first_day,
        defaults={"tenant_id": budget.tenant_id, **_moments(bounds)},
    )
    if made:
        convert_anew(budget, bounds.first_day)
    if period.rate_day != budget.rate_day:
        period.rate_day = budget.rate_day
        BudgetPeriod.objects.filter(pk=period.pk).update(rate_day=budget.rate_day)
    if not made and all(getattr(period, name) == value for name, value in _moments(bounds).items()):
        return period
    # The tenant moved to another zone: its days begin at other moments now, and only one period may hold at a time.
    others = BudgetPeriod.objects.filter(budget=budget, ends_at__gt=at, starts_at__lte=at).exclude(pk=period.pk)
    blocked = others.filter(exhausted_at__isnull=False).exists()
    others.update(ends_at=at, revision=F("revision") + 1)
    if made:
        _end_previous(budget, period, at=at, by=by)
    else:
        BudgetPeriod.objects.filter(pk=period.pk).update(**_moments(bounds), revision=F("revision") + 1)
        period.refresh_from_db()
    if budget.is_hard and (blocked or period.exhausted_at):
        _record_block(budget, period, "budget.block_corrected", by=by)
    return period


def decide(
    budget: Budget, what: Decision.What, why: str, *, at: datetime, spent: int | None, data_to: datetime | None = None
) -> None:
    """Write a line of the ledger."""
    Decision.objects.create(
        tenant_id=budget.tenant_id,
        budget=budget,
        at=at,
        what=what,
        why=why[:500],
        spent=spent,
        limit=budget.limit,
        data_to=data_to,
    )


def _moments(bounds: Bounds) -> dict[str, object]:
    return {
        "last_day": bounds.last_day,
        "time_zone": bounds.time_zone,
        "starts_at": bounds.starts_at,
        "ends_at": bounds.ends_at,
    }


def _write_crossings(budget: Budget, period: BudgetPeriod, verdict: Verdict, *, at: datetime, cause: str) -> None:
    if verdict.undone:
        Crossing.objects.filter(
            budget=budget,
            first_day=period.first_day,
            kind=Crossing.Kind.THRESHOLD,
            threshold__in=verdict.undone,
            undone_at=None,
        ).update(undone_at=at)
    if not verdict.crossed:
        return
    Crossing.objects.bulk_create(
        [
            _crossing(budget, period, each, Crossing.Kind.THRESHOLD, at=at, told=each == verdict.told)
            for each in verdict.crossed
        ],
        ignore_conflicts=True,
    )
    told = f"{verdict.told}% of {budget.limit_text} is used"
    passed = [f"{each}%" for each in verdict.crossed[:-1]]
    why = f"{told}. Reached in the same moment and not told: {', '.join(passed)}." if passed else f"{told}."
    decide(budget, Decision.What.CROSSED, why, at=at, spent=period.spent, data_to=period.data_to)


def _turn(budget: Budget, period: BudgetPeriod, verdict: Verdict, *, at: datetime, by: Actor, cause: str) -> None:
    """The budget is used up now, or no longer."""
    recoveries = Crossing.objects.filter(
        budget=budget, first_day=period.first_day, kind=Crossing.Kind.RECOVERED, undone_at=None
    )
    if verdict.exhausted:
        recoveries.update(undone_at=at)
        effect = "calls are refused" if budget.is_hard else "calls go on, because the budget is soft"
        until = local_moment(period.ends_at, period.time_zone)
        why = f"Spend reached the limit: {effect} until {until}, a raise or a correction."
        decide(budget, Decision.What.EXHAUSTED, why, at=at, spent=period.spent, data_to=period.data_to)
        _record_block(budget, period, "budget.exhausted", by=by)
        return
    _recover(budget, period, at=at, cause=cause)
    _record_block(budget, period, "budget.recovered", by=by)


def _recover(budget: Budget, period: BudgetPeriod, *, at: datetime, cause: str) -> None:
    row = _crossing(budget, period, EXHAUSTED_PERCENT, Crossing.Kind.RECOVERED, at=at, told=True)
    row.cause = cause
    Crossing.objects.bulk_create([row], ignore_conflicts=True)
    decide(budget, Decision.What.RECOVERED, f"{cause}.", at=at, spent=period.spent, data_to=period.data_to)


def _end_previous(budget: Budget, period: BudgetPeriod, *, at: datetime, by: Actor) -> None:
    previous = BudgetPeriod.objects.filter(budget=budget, first_day__lt=period.first_day).order_by("-first_day").first()
    if previous is None:
        return
    named = f"{days(period.first_day, period.last_day)}, {period.time_zone}"
    decide(budget, Decision.What.PERIOD_STARTED, f"A new period began: {named}.", at=at, spent=0)
    if previous.exhausted_at:
        _recover(budget, previous, at=at, cause=f"A new period began: {named}")
        _record_block(budget, period, "budget.recovered", by=by)


def _crossing(
    budget: Budget, period: BudgetPeriod, threshold: int, kind: Crossing.Kind, *, at: datetime, told: bool
) -> Crossing:
    return Crossing(
        budget=budget,
        tenant_id=budget.tenant_id,
        first_day=period.first_day,
        threshold=threshold,
        kind=kind,
        at=at,
        spent=period.spent,
        limit=budget.limit,
        data_to=period.data_to,
        announcement=Crossing.Announcement.WAITING if told else Crossing.Announcement.SILENT,
    )


def _record_block(budget: Budget, period: BudgetPeriod, kind: str, *, by: Actor) -> None:
    """Audit that a budget was used up or recovered; the tenant's document is published when calls depend on it."""
    record(
        kind,
        by=by,
        tenant=budget.tenant_id,
        target_kind="budget",
        target_id=budget.id,
        after={
            "period": period.first_day.isoformat(),
            "spent": usd_exact(period.spent),
            "limit": usd_exact(budget.limit),
            "enforcement": budget.enforcement,
        },
        publish=[Publish(Topic.TENANT, budget.tenant_id, urgent=kind == "budget.exhausted")] if budget.is_hard else [],
    )


@transaction.atomic
def note_reading_failed(*, why: str, at: datetime) -> None:
    """Spend could not be read: one line in the ledger for each outage, not one for each tick of it."""
    if _latest_general() != Decision.What.NOT_EVALUATED:
        Decision.objects.create(at=at, what=Decision.What.NOT_EVALUATED, why=why[:500])


@transaction.atomic
def note_reading_works(*, at: datetime) -> None:
    """Spend can be read again, if it could not before."""
    if _latest_general() == Decision.What.NOT_EVALUATED:
        Decision.objects.create(at=at, what=Decision.What.RESUMED, why="Spend can be read again.")


def _latest_general() -> str | None:
    return Decision.objects.filter(budget=None).order_by("-id").values_list("what", flat=True).first()
