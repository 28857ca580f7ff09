"""What an installation of the first version stored is there, readable and explained after all migrations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.gateway.peers import ROOT

FIRST = [(app, "0001_initial") for app in ("tenants", "pricing", "budgets", "spend")]
PRICES = {"periods": [{"prices": {"input": 150_000, "output": {"base": 600_000, "tiers": [[200, 700_000]]}}}]}
RULES = {"rules": [[{"equals": "small"}, "small"]]}

OLD = """
import datetime, json, sys
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

first, prices, rules = json.loads(sys.argv[1])
for app, name in first:
    call_command("migrate", app, name, verbosity=0)
old = MigrationLoader(connection).project_state([tuple(each) for each in first]).apps.get_model
now = datetime.datetime(2026, 10, 1, tzinfo=datetime.UTC)
tenant = old("tenants", "Tenant").objects.create(id="t_older00001", name="Older", time_zone="UTC")
book = old("pricing", "PriceBook").objects.create(
    version=1, created_at=now, checked_at=now, source="given", source_version="1", digest="d", model_count=1,
    provider_count=1, figure_count=2, rounded_count=0, unexpressed_count=0,
    report={"rounded": [], "unexpressed": []},
)
acme = old("pricing", "Provider").objects.create(id="acme", name="Acme", last_seen=now)
small = old("pricing", "Model").objects.create(provider=acme, model_id="small", first_seen=now, last_seen=now)
held = {"seen_at": now, "first_version": book}
old("pricing", "ModelPrice").objects.create(model=small, prices=prices, source="given", source_version="1", **held)
old("pricing", "MatchRules").objects.create(provider=acme, position=0, rules=rules, **held)
budget = old("budgets", "Budget").objects.create(id="b_older00001", tenant=tenant, name="Old", amount_micro=25_000_000)
old("spend", "UnpricedModel").objects.create(provider="acme", model="tiny", first_seen=now, envs=["dev"])
"""

NEW = """
import json
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("migrate", check_unapplied=True, verbosity=0)
from budgets.models import Budget
from changes.actor import Actor
from pricing.actions.by_hand import add_hand_price
from pricing.actions.sync import sync_prices
from pricing.explain import explain
from pricing.models import Model, ModelPrice, PriceSync
from pricing.queries import current_version
from spend.models import UnpricedModel
from tests.pricing.catalogues import acme
from tests.pricing.conftest import Given
from tenants.scope import across_tenants
from wire.prices import Tiered
import datetime

call = {"provider": "acme", "model_priced": "small", "price_version": 1, "ts_ms": 1_759_300_000_000}
units = {"input": 150, "output": 2, "cache_read": 60}
before = explain(**call, units=units)
by = Actor.system("test")
synced = sync_prices(Given(acme(count=1, input=151_000, output=Tiered(600_000, ((200, 700_000),)))), by=by)
add_hand_price(provider="acme", model="tiny", prices={"input": 3}, starts=datetime.date(2026, 9, 1), by=by)
with across_tenants("a test looks"):
    budget = Budget.objects.get()
model = Model.objects.get(model_id="small")
print(json.dumps({
    "explained": [before.text, before.total, before.source],
    "again": explain(**call, units=units).total,
    "stored": ModelPrice.objects.get(first_version=1, model=model).prices,
    "synced": [synced.changed, synced.new_prices, synced.changed_prices, bool(synced.waiting)],
    "version": current_version(),
    "facts": [model.capabilities, model.aliases, model.tier, model.by_hand, model.facts],
    "budget": [budget.currency, budget.limit, budget.converted],
    "unpriced": list(UnpricedModel.objects.values_list("model", "envs", "resolved_at")),
}))
"""


def ran(script: str, folder: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "SPENDOPS_DATA": str(folder),
        "DJANGO_SETTINGS_MODULE": "spendops.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_first_versions_prices_go_on_explaining_and_being_changed(tmp_path):
    ran(OLD, tmp_path, json.dumps([FIRST, PRICES, RULES]))
    found: dict[str, Any] = json.loads(ran(NEW, tmp_path).splitlines()[-1])
    # 210 tokens went in, so the tier above 200 holds for what came out; cached ones are priced as input
    total = 150 * 150_000 + 2 * 700_000 + 60 * 150_000
    assert found["explained"] == ["150 × 150,000 + 2 × 700,000 + 60 × 150,000 = 32,900,000 pico-USD", total, "given"]
    assert (found["again"], found["stored"]) == (total, PRICES)
    assert found["synced"] == [True, 0, 1, False]
    assert found["version"] == 3
    assert found["facts"] == [[], [], "", False, {}]
    assert found["budget"] == ["USD", 25 * 10**12, None]
    assert found["unpriced"] == [["tiny", ["dev"], None]]
