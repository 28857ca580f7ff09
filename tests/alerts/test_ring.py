"""From usage in the real engine to the message and the block, and back again."""

from __future__ import annotations

import time

from alerts.tasks import send_deliveries
from budgets.actions import Settings, change_budget
from budgets.queries import tenant_block
from budgets.tasks import evaluate_budgets
from spend.ingest import store_usage
from spend.rollup import recount
from tests.alerts.conftest import by_kind
from tests.budgets.making import SOMEBODY, make_budget
from wire.events import UsageEvent
from wire.ids import event_id
from wire.money import usd_string


def call(tenant, pico: int, env: str = "dev", model: str = "gpt-4o-mini") -> UsageEvent:
    return UsageEvent(
        event_id=event_id(),
        ts=time.time_ns() // 1_000_000,
        env=env,
        tenant=tenant.id,
        project="p_one",
        key="keyOne000000",
        route="/v1/chat/completions",
        provider="openai",
        model_asked=model,
        model_priced=model,
        units={"input": 21, "output": 64},
        cost=usd_string(pico),
        charge=usd_string(pico),
        http_status=200,
    )


def tick(*events: UsageEvent) -> None:
    store_usage(events)
    recount()
    evaluate_budgets()
    send_deliveries()


def test_calls_trip_a_budget_people_hear_of_it_and_a_raise_lets_calls_pass(clickhouse, tenant, stranger, monkeypatch):
    from spend.queries.daily import daily_spend

    monkeypatch.setattr("alerts.content.daily_spend", daily_spend)
    budget = make_budget(tenant, now=None)
    only_prod = make_budget(tenant, name="Prod", envs=["prod"], now=None)
    theirs = make_budget(stranger, now=None)
    first = call(tenant, 41_550_000)
    tick(first)
    assert tenant_block(tenant.id, "dev") is None
    assert by_kind() == {}
    tick(first, call(tenant, 41_550_000), call(tenant, 41_550_000, model="gpt-4o"))
    block = tenant_block(tenant.id, "dev")
    assert block.message.startswith('Budget "First" used: $0.00012465 of $0.0001. Resets 1 ')
    assert (block.budget, tenant_block(stranger.id, "dev")) == (budget.id, None)
    assert {only_prod.id, theirs.id}.isdisjoint({block.budget})
    told = by_kind()
    assert {each.status for each in told.values()} == {"sent"}
    assert "gpt-4o-mini: $0.0000831 (66.7%)" in told["email"].text
    change_budget(budget_id=budget.id, tenant_id=tenant.id, wanted=Settings(name="First", amount="100"), by=SOMEBODY)
    assert tenant_block(tenant.id, "dev") is None
    tick(call(tenant, 41_550_000))
    assert tenant_block(tenant.id, "dev") is None
