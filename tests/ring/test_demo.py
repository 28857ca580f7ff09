"""What `make demo` shows of prices: a past, a sync that waits, overrides, and models that got their price late."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from changes.actor import Actor
from pricing.actions.crosscheck import result_of
from pricing.actions.sync import sync_prices
from pricing.models import CrossCheck, Model, PriceChange, PriceSync, Selection
from pricing.queries_overrides import current_overrides
from pricing.render import pricing_blob
from pricing.sources import INSTALLED
from spend.ingest import store_usage
from spend.models import Rerating
from spend.rerating.queries import found_by
from spend.rollup import recount
from spend.unpriced import note_unpriced_models, outstanding_models
from spendops.ring.believable import Caller, usage
from spendops.ring.demo import TENANTS
from spendops.ring.demo_prices import (
    LATE,
    NEVER,
    UNPRICED,
    agree_on_overrides,
    begin_with_earlier_prices,
    check_against_a_table,
    flag_unpriced,
    price_what_was_unpriced,
    select_models,
)
from tenants.actions.projects import create_project
from tenants.actions.tenants import create_tenant
from tenants.models import Project, Tenant
from tenants.scope import across_tenants, tenant_scope
from wire.prices import PriceBook

pytestmark = pytest.mark.django_db(transaction=True)

BY = Actor.system("demo")


@pytest.fixture
def prices(db) -> PriceSync:
    """The demo's prices, as `make demo` makes them; the change set that waits."""
    begin_with_earlier_prices(today=datetime.now(UTC).date())
    waiting = sync_prices(INSTALLED, by=BY).waiting
    assert waiting is not None
    return waiting


def with_projects(name: str) -> tuple[Tenant, dict[str, Project]]:
    tenant = create_tenant(name=name, by=BY)
    with tenant_scope(tenant.id):
        names = {use.project for use in TENANTS[name][2]}
        return tenant, {each: create_project(tenant=tenant, name=each, by=BY) for each in names}


def test_small_changes_are_published_and_large_ones_wait_again_after_a_restart(prices):
    found = {(change.provider_id, change.model_id): change for change in prices.changes.exclude(kind="rules")}
    assert {model: (change.kind, change.status) for (_, model), change in found.items()} == {
        "claude-haiku-4-5": ("changed", PriceChange.Status.PUBLISHED),
        "claude-sonnet-4-6": ("changed", PriceChange.Status.WAITING),
        "claude-opus-4-5": ("changed", PriceChange.Status.WAITING),
        "gpt-4-32k-demo": ("gone", PriceChange.Status.WAITING),
        "codestral": ("new", PriceChange.Status.PUBLISHED),
    }
    assert PriceSync.objects.filter(status=PriceSync.Status.FAILED).count() == 1
    begin_with_earlier_prices(today=datetime.now(UTC).date())
    again = sync_prices(INSTALLED, by=BY)
    assert again.waiting == prices
    assert not again.changed


def test_prices_have_a_past(prices):
    held = Model.objects.get(provider="openai", model_id="gpt-4o").prices.get(last_version=None).decoded()
    assert [period.prices["input"] for period in held.periods] == [5_000_000, 3_750_000, 2_500_000]
    assert held.periods[-1].start == datetime.now(UTC).date() - timedelta(days=65)


def test_a_cross_check_with_something_to_see(prices):
    check_against_a_table(BY)
    result = result_of(CrossCheck.objects.get())
    assert {(each.model, each.unit) for each in result.disagreements} == {
        ("gemini-2.5-flash", "output"),
        ("gpt-4o-mini", "input"),
    }
    assert result.compared > 10


def test_overrides_charge_the_demos_calls_and_late_prices_re_rate_them(prices, clickhouse):
    book = PriceBook(pricing_blob(env="dev", rev=1))
    now = timezone.now()
    every = []
    for name, (_, _, uses) in TENANTS.items():
        tenant, projects = with_projects(name)
        agree_on_overrides(tenant, projects, now=now, by=BY)
        select_models(tenant, projects, by=BY)
        callers = [Caller(tenant.id, projects[use.project].id, "k_demo", use.env, *use[3:]) for use in uses]
        events = usage(callers, book, until=now, days=8, overrides=current_overrides(tenant.id))
        flag_unpriced(events)
        every += events
    store_usage(every)
    while recount():
        pass
    charged = {(event.model_asked, event.charge == event.cost) for event in every if event.cost not in (None, "0")}
    assert {("claude-sonnet-4-6", False), ("gpt-4o", True), ("gemini-2.5-flash", False)} <= charged
    with across_tenants("what the demo selected"):
        assert Selection.objects.count() == 8

    price_what_was_unpriced([e for e in every if e.model_asked in (LATE, UNPRICED)], now=now, by=BY)

    dry, applied, open_dry = Rerating.objects.order_by("created_at")
    assert [dry.dry, applied.dry, open_dry.dry] == [True, False, True]
    assert {job.status for job in (dry, applied, open_dry)} == {Rerating.Status.DONE}
    assert found_by(applied).whole.difference == found_by(dry).whole.difference > 0
    while recount():
        pass
    note_unpriced_models()
    assert {row.model: row.priced for row in outstanding_models()} == {UNPRICED: True, NEVER: False}
    for env in settings.SPENDOPS.environments:
        with closing(settings.SPENDOPS.open_kv(env)) as kv:
            assert kv.list("missing:").entries
