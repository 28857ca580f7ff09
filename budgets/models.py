"""Budget, its periods, the crossings of its thresholds, and the ledger of what was decided."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from budgets.fields import PicoField
from tenants.models import Tenant
from tenants.scope import TenantManager
from wire.display import day, money, usd
from wire.ids import short_id
from wire.money import PICO_PER_MICRO


def new_budget_id() -> str:
    """An id such as `b_4k2m9x0c1v7b`."""
    return short_id("b")


def default_thresholds() -> list[int]:
    """Percent used at which people are told, unless a budget names its own."""
    return [50, 80, 100]


class Budget(models.Model):
    """How much a tenant may spend in a period, and what happens when it has."""

    class Period(models.TextChoices):
        MONTHLY = "monthly", "Monthly"

    class Enforcement(models.TextChoices):
        SOFT = "soft", "Soft: tell people"
        HARD = "hard", "Hard: tell people and refuse calls at 100%"

    class Status(models.TextChoices):
        ACTIVE = "active"
        ARCHIVED = "archived"

    id = models.CharField(primary_key=True, max_length=32, default=new_budget_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=80)
    amount_micro = models.BigIntegerField()  # micro-units of `currency`
    currency = models.CharField(max_length=3, default="USD")
    # Pico-USD that an amount in another currency than USD comes to, by the rate of the period's first day, so that it
    # stands still while the period lasts.
    converted = PicoField(null=True, blank=True)
    rate_day = models.DateField(null=True, blank=True)  # on which that rate was published
    rate_e8 = models.PositiveBigIntegerField(null=True, blank=True)  # units of the currency for one USD, times 10 ** 8
    period = models.CharField(max_length=16, choices=Period.choices, default=Period.MONTHLY)
    enforcement = models.CharField(max_length=16, choices=Enforcement.choices, default=Enforcement.SOFT)
    thresholds = models.JSONField(default=default_thresholds)  # percent used, rising
    envs = models.JSONField(default=list, blank=True)  # environments that count; none named: all of them
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    version = models.PositiveIntegerField(default=1)  # grows with every change: whoever saves an older one is refused
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], condition=models.Q(status="active"), name="active_budget_name_once"
            ),
            models.CheckConstraint(condition=models.Q(amount_micro__gt=0), name="budget_amount_above_zero"),
        ]
        indexes = [models.Index(fields=["status", "tenant"], name="budget_by_status")]

    def __str__(self) -> str:
        return self.name

    @property
    def limit(self) -> int:
        """The amount in pico-USD, the unit that spend is compared in."""
        return self.amount_micro * PICO_PER_MICRO if self.converted is None else self.converted

    @property
    def amount(self) -> str:
        """The amount as it was set, in its currency: "€1,000.00"."""
        return money(self.amount_micro, self.currency)

    @property
    def limit_text(self) -> str:
        """The limit as people compare spend with it: "$250.00", or "$1,085.20 (€1,000.00)"."""
        return self.amount if self.converted is None else f"{usd(self.converted)} ({self.amount})"

    @property
    def conversion(self) -> str:
        """How the amount became USD, "" for one in USD: "€1,000.00 at 0.9215 EUR for $1 (ECB, 30 Oct 2026)"."""
        if self.rate_day is None or self.rate_e8 is None:
            return ""
        rate = f"{Decimal(self.rate_e8).scaleb(-8).normalize():f}"
        return f"{self.amount} at {rate} {self.currency} for $1 (ECB, {day(self.rate_day)})"

    @property
    def is_hard(self) -> bool:
        """Whether calls are refused at 100%."""
        return self.enforcement == self.Enforcement.HARD

    def covers(self, env: str) -> bool:
        """Whether spend in an environment counts, and a block holds there."""
        return not self.envs or env in self.envs


class BudgetPeriod(models.Model):
    """One period of a budget with what was spent in it as far as is known.

    `revision` grows with every write: an evaluator that read spend before somebody else wrote loses its conditional
    UPDATE, so an older reading never undoes a newer one, whatever the clocks say.
    """

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="periods")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    first_day = models.DateField()  # in the tenant's zone, like `last_day`, which is the last one inside
    last_day = models.DateField()
    time_zone = models.CharField(max_length=64)
    rate_day = models.DateField(null=True, blank=True)  # whose exchange rate the limit has in it; None in USD
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()  # the first moment after it
    spent = PicoField(default=0)
    requests = models.PositiveBigIntegerField(default=0)
    exhausted_at = models.DateTimeField(null=True, blank=True)  # set while spent is at or above the limit
    evaluated_at = models.DateTimeField(null=True, blank=True)
    data_to = models.DateTimeField(null=True, blank=True)  # the newest usage that was counted
    revision = models.PositiveIntegerField(default=1)

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["budget", "first_day"], name="budget_period_once")]
        indexes = [models.Index(fields=["tenant", "ends_at"], name="budget_period_by_end")]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.first_day}"


class Crossing(models.Model):
    """A threshold that was reached, or an exhausted budget that recovered. The row is the alert's order to be sent.

    A crossing stands until a raise or a correction takes spend below its threshold again; of one kind, only one can
    stand for a budget, period and threshold.
    """

    class Kind(models.TextChoices):
        THRESHOLD = "threshold"
        RECOVERED = "recovered"

    class Announcement(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        SILENT = "silent"  # a higher threshold was reached in the same moment, and is told instead

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="crossings")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    first_day = models.DateField()  # of the period
    threshold = models.PositiveIntegerField()  # percent used
    kind = models.CharField(max_length=16, choices=Kind.choices)
    at = models.DateTimeField()
    spent = PicoField()
    limit = PicoField()
    data_to = models.DateTimeField(null=True, blank=True)
    cause = models.CharField(max_length=120, blank=True)  # of a recovery
    undone_at = models.DateTimeField(null=True, blank=True)
    announcement = models.CharField(max_length=16, choices=Announcement.choices, default=Announcement.WAITING)

    objects = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "first_day", "threshold", "kind"],
                condition=models.Q(undone_at=None),
                name="crossing_once",
            )
        ]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(announcement="waiting"), name="crossing_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.first_day} {self.threshold}% {self.kind}"


class Decision(models.Model):
    """The ledger of decisions: what was decided about a budget, on which figures, and why. Only ever added to."""

    class What(models.TextChoices):
        CREATED = "created", "Created"
        CHANGED = "changed", "Changed"
        ARCHIVED = "archived", "Archived"
        PERIOD_STARTED = "period_started", "New period"
        CROSSED = "crossed", "Threshold reached"
        EXHAUSTED = "exhausted", "Used up"
        RECOVERED = "recovered", "Recovered"
        NOT_EVALUATED = "not_evaluated", "Not evaluated"
        RESUMED = "resumed", "Evaluated again"

    # Both are empty for what concerns all budgets: spend that could not be read.
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, null=True, blank=True, related_name="decisions")
    at = models.DateTimeField()
    what = models.CharField(max_length=16, choices=What.choices)
    why = models.CharField(max_length=500)
    spent = PicoField(null=True, blank=True)
    limit = PicoField(null=True, blank=True)
    data_to = models.DateTimeField(null=True, blank=True)

    objects = TenantManager()

    class Meta:
        indexes = [models.Index(fields=["budget", "-id"], name="decision_by_budget")]

    def __str__(self) -> str:
        return f"{self.what} {self.budget_id or 'all budgets'}"
