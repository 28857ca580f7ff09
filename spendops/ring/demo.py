"""The demo's data: two tenants with 90 days of believable usage, sent through the real queues and consumers.

Deterministic but for the ids of tenants, projects and keys: the same day gives the same calls.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings

from budgets.actions import Settings, set_budget
from budgets.models import Budget
from changes.actor import Actor
from pricing.queries_overrides import current_overrides
from pricing.rates.queries import USD, currencies_with_rates, rate_on
from pricing.render import pricing_blob
from spend.models import DirtyDay
from spend.waiting import calls_on_their_way
from spendops.ring.believable import Caller, denials, usage
from spendops.ring.demo_prices import (
    LATE,
    NEVER,
    UNPRICED,
    agree_on_overrides,
    check_against_a_table,
    flag_unpriced,
    price_what_was_unpriced,
    select_models,
)
from tenants.actions.keys import issue_key
from tenants.actions.projects import create_project
from tenants.actions.tenants import create_tenant
from tenants.models import Project, Tenant
from tenants.scope import tenant_scope
from wire.events import DenialEvent, UsageEvent, encode
from wire.money import MICRO, PICO_PER_USD
from wire.prices import PriceBook
from wire.queues.base import DENIALS, USAGE

DAYS = 90
BATCH = 5_000
INGEST_SECONDS = 180


class Use(NamedTuple):
    """How one key is used: by which project, for what, how much on a working day, how much of that at weekends."""

    project: str
    key: str
    env: str
    provider: str
    model: str
    route: str
    prompt: int  # tokens of a typical call
    answer: int
    a_day: int
    weekends: float


CHAT, MESSAGES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/embeddings"

GPT, MINI, SONNET, HAIKU = "gpt-4o", "gpt-4o-mini", "claude-sonnet-4-6", "claude-haiku-4-5"
FLASH, PRO, OPUS, GPT5 = "gemini-2.5-flash", "gemini-2.5-pro", "claude-opus-4-5", "gpt-5-mini"
EMBED = "text-embedding-3-small"

# name -> (time zone, currency, how its keys are used)
TENANTS: dict[str, tuple[str, str, tuple[Use, ...]]] = {
    "Halden Robotics": (
        "Europe/Berlin",
        "EUR",
        (
            Use("Checkout assistant", "checkout-web", "prod", "openai", GPT, CHAT, 5200, 640, 130, 0.7),
            Use("Support copilot", "copilot-live", "prod", "anthropic", SONNET, MESSAGES, 21000, 1400, 95, 0.3),
            Use("Support copilot", "copilot-triage", "prod", "openai", MINI, CHAT, 4500, 90, 160, 0.4),
            Use("Search ranking", "search-rerank", "prod", "openai", MINI, CHAT, 9000, 120, 220, 0.9),
            Use("Search ranking", "search-embed", "prod", "openai", EMBED, EMBEDDINGS, 6200, 0, 120, 0.9),
            Use("Data platform", "labels-nightly", "prod", "google", FLASH, CHAT, 26000, 1900, 70, 1.0),
            Use("Internal tools", "notebooks", "dev", "anthropic", HAIKU, MESSAGES, 18000, 2100, 30, 0.1),
            Use("Data platform", "labels-trial", "prod", "halden", LATE, CHAT, 9000, 600, 12, 0.5),
            Use("Internal tools", "trials", "dev", "mistral", UNPRICED, CHAT, 2400, 380, 6, 0.0),
        ),
    ),
    "Brightwater Legal": (
        "America/New_York",
        "USD",
        (
            Use("Contract review", "review-prod", "prod", "anthropic", OPUS, MESSAGES, 42000, 3800, 26, 0.1),
            Use("Contract review", "review-draft", "prod", "openai", GPT5, CHAT, 30000, 2600, 40, 0.1),
            Use("Intake", "intake-forms", "prod", "openai", MINI, CHAT, 1200, 160, 70, 0.2),
            Use("Contract review", "clauses-trial", "prod", "brightwater", NEVER, CHAT, 16000, 900, 4, 0.0),
            Use("Research", "research-desk", "dev", "google", PRO, CHAT, 38000, 4100, 14, 0.2),
        ),
    ),
}
SPIKE = ("search-rerank", 4, 2.6)  # a key that, so many days ago, was called so many times as often as usual


def make_demo() -> str:
    """Make the demo's data unless it is there already. Needs the consumers to run; says what it did."""
    if Tenant.objects.filter(name__in=TENANTS).exists():
        return f"demo data is there already: {', '.join(TENANTS)}"
    by = Actor.system("demo")
    book = PriceBook(pricing_blob(env=settings.SPENDOPS.environments[0], rev=1))
    calls = 0
    late: list[UsageEvent] = []
    for number, (name, (zone, currency, uses)) in enumerate(TENANTS.items()):
        tenant = create_tenant(name=name, time_zone=zone, currency=currency, by=by)
        now = datetime.now(ZoneInfo(zone))
        projects, callers = _callers(tenant, uses, by)
        agree_on_overrides(tenant, projects, now=now, by=by)
        select_models(tenant, projects, by=by)
        events = usage(
            callers,
            book,
            until=now,
            days=DAYS,
            seed=number,
            spikes=_spikes(uses, callers),
            overrides=current_overrides(tenant.id),
        )
        _send(USAGE, events)
        flag_unpriced(events)
        late += [event for event in events if event.model_asked in (LATE, UNPRICED)]
        _send(DENIALS, denials(callers, until=now, number=180, seed=number))
        _set_budgets(tenant, events, now, by)
        calls += len(events)
    _wait_for_consumers()
    price_what_was_unpriced(late, now=datetime.now(UTC), by=by)
    check_against_a_table(by)
    return f"{len(TENANTS)} tenants, {DAYS} days, {calls:,} calls"


def _callers(tenant: Tenant, uses: Sequence[Use], by: Actor) -> tuple[dict[str, Project], list[Caller]]:
    projects: dict[str, Project] = {}
    callers = []
    with tenant_scope(tenant.id):
        for use in uses:
            if use.project not in projects:
                projects[use.project] = create_project(tenant=tenant, name=use.project, by=by)
            project = projects[use.project]
            key = issue_key(tenant=tenant, project=project, name=use.key, env=use.env, by=by).key
            callers.append(Caller(tenant.id, project.id, key.id, use.env, *use[3:]))
    return projects, callers


def _spikes(uses: Sequence[Use], callers: Sequence[Caller]) -> dict[str, tuple[int, float]]:
    key, days_ago, times = SPIKE
    return {caller.key: (days_ago, times) for use, caller in zip(uses, callers, strict=True) if use.key == key}


def _send(kind: str, events: Sequence[UsageEvent] | Sequence[DenialEvent]) -> None:
    """Into the queues, as a gateway would."""
    for env in settings.SPENDOPS.environments:
        own = [encode(event) for event in events if event.env == env]
        with closing(settings.SPENDOPS.open_queue(kind, env)) as queue:
            for first in range(0, len(own), BATCH):
                queue.send(own[first : first + BATCH])


def _set_budgets(tenant: Tenant, events: Sequence[UsageEvent], now: datetime, by: Actor) -> None:
    """One budget that is nearly used and warns, one that is comfortable and blocks; in the tenant's currency."""
    currency = tenant.currency if tenant.currency in currencies_with_rates() else USD
    rate = rate_on(currency, now.date().replace(day=1))
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000
    spent = {env: Decimal(0) for env in settings.SPENDOPS.environments}
    for event in events:
        if event.ts >= month and event.charge:
            spent[event.env] += Decimal(event.charge)
    gone = Decimal(now.day) / 30
    for name, env, share, enforcement in (
        ("Production", "prod", Decimal("0.97"), Budget.Enforcement.SOFT),
        ("Development", "dev", Decimal("1.9"), Budget.Enforcement.HARD),
    ):
        micro = rate.from_pico(int(spent.get(env, Decimal(0)) / gone * share * PICO_PER_USD))
        amount = max(5, round(Fraction(micro, MICRO)))
        set_budget(
            tenant=tenant,
            wanted=Settings(name=name, amount=str(amount), currency=currency, enforcement=enforcement, envs=[env]),
            by=by,
        )


def _wait_for_consumers() -> None:
    """Until every event that was sent is counted."""
    deadline = time.monotonic() + INGEST_SECONDS
    while time.monotonic() < deadline:
        if not calls_on_their_way() and not DirtyDay.objects.exists():
            return
        time.sleep(0.2)
    raise SystemExit(f"The consumers did not take the demo's events within {INGEST_SECONDS} s; see their logs.")
