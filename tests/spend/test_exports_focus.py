"""FOCUS: the official validators pass, unit prices make costs up exactly, and the sum is the figure of the page."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from pricing.actions.overrides import create_override
from pricing.override_rules import OverrideSettings
from pricing.queries_overrides import finder_of, newest_version
from spend.queries.slices import Slice, cells
from tenants.models import ApiKey, Project
from tests.focus.validators import lint_1_4, official_failures
from tests.spend.conftest import count, tenant
from tests.spend.events import TENANT, unpriced, usage
from tests.spend.exported import made, path_of, rows_of, summed, wanted
from tests.spend.test_slices import ZONES
from tests.spend.test_what_if import BY, NOW, calls, prices  # noqa: F401 - a fixture
from wire.prices import PriceBook

FIRST, LAST = date(2026, 10, 21), date(2026, 11, 18)
VERSIONS = ["focus-1.2", "focus-1.4"]

pytestmark = pytest.mark.usefixtures("clickhouse")


@pytest.fixture(autouse=True)
def folder(queues, settings, tmp_path) -> Path:
    settings.EXPORTS = tmp_path / "exports"
    return settings.EXPORTS


def everything(book: PriceBook, zone: str = "Asia/Kolkata", number: int = 400) -> None:
    """Calls with prices of every kind, with overrides and without, unpriced, imported, and an adjustment."""
    tenant_row = tenant(TENANT, zone)
    plain = calls(book, number=number // 2)
    discount = OverrideSettings(
        name="Discount",
        kind="percent",
        basis_points=-1333,
        provider="acme",
        model="l*",
        starts_at=datetime(2026, 11, 9, 5, 7, tzinfo=UTC),
    )
    create_override(tenant=tenant_row, wanted=discount, by=BY)
    own = OverrideSettings(
        name="Own",
        kind="absolute",
        prices={"input": 7, "output": 9},
        provider="acme",
        model="unheard*",
        starts_at=datetime(2026, 10, 1, tzinfo=UTC),
    )
    create_override(tenant=tenant_row, wanted=own, by=BY)
    rules = finder_of(TENANT, newest_version(TENANT))
    assert rules is not None
    later = [
        msgspec.structs.replace(each, override_version=rules.version, event_id=usage(5_000 + at, ts=each.ts).event_id)
        for at, each in enumerate(calls(book, rules, number=number))
    ]
    at = NOW - timedelta(days=3)
    others = [
        usage(9_001, at, kind="adjustment", units={}, cost="-1.5", charge="-1.25", adjusts=plain[0].event_id),
        usage(9_002, at, source="openai-export", cost="2.5", charge="2.25", units={"input": 7}, price_version=0),
        usage(9_003, at, source="openai-credits", cost="-0.5", charge="-0.5", units={}, price_version=0),
        usage(9_004, at, model_priced="never-listed", cost="0.000000000007", charge="0.000000000007"),
        unpriced(9_005, at, units={"input": 3, "audio_seconds": 2}),
    ]
    count([*plain, *later, *others])


@pytest.mark.parametrize("zone", ZONES)
def test_it_comes_to_the_figure_of_the_page_and_unit_prices_make_costs_up(prices, zone):  # noqa: F811
    everything(prices, zone)
    figure = cells(TENANT, Slice(FIRST, LAST))[0]
    assert figure.charge
    for version in VERSIONS:
        for written in ("csv", "parquet"):
            job = made(wanted(version, FIRST, LAST), written)
            assert summed(job, "BilledCost") == figure.charge, (version, written)
            assert summed(job, "EffectiveCost") == figure.charge
            assert job.manifest["sums_usd"]["BilledCost"] == f"{figure.charge:.12f}"
        for row in rows_of(job):
            if row["PricingQuantity"] is None:
                assert row["ChargeClass"] == "Correction" or row["ChargeCategory"] == "Adjustment"
                continue
            assert row["PricingQuantity"] * row["ListUnitPrice"] == row["ListCost"]
            assert row["PricingQuantity"] * row["ContractedUnitPrice"] == row["ContractedCost"] == row["BilledCost"]


def test_the_official_validator_and_the_lint_find_nothing(prices):  # noqa: F811
    everything(prices, number=120)
    for written in ("csv", "parquet"):
        assert official_failures(path_of(made(wanted("focus-1.2", FIRST, LAST), written))) == []
        assert "lint OK" in lint_1_4(path_of(made(wanted("focus-1.4", FIRST, LAST), written)))


def test_the_validators_do_find_what_is_wrong(prices, tmp_path):  # noqa: F811
    everything(prices, number=40)
    text = path_of(made(wanted("focus-1.2", FIRST, LAST))).read_text()
    broken = tmp_path / "broken.csv"
    broken.write_text(text.replace(",Usage,", ",Useage,"))
    assert any("ConsumedQuantity MUST be NULL" in each for each in official_failures(broken))
    rows = list(csv.reader(path_of(made(wanted("focus-1.4", FIRST, LAST))).read_text().splitlines()))
    place = rows[0].index("ListCost")
    with broken.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *([*row[:place], "17.5", *row[place + 1 :]] for row in rows[1:])])
    assert "lint OK" not in lint_1_4(broken)


def test_each_days_prices_tiers_and_overrides_have_rows_of_their_own(prices):  # noqa: F811
    tenant(TENANT, "Asia/Kolkata")
    day = date(2026, 11, 5)
    at = datetime(2026, 11, 4, 20, tzinfo=UTC)  # the fifth in Kolkata
    known = {"provider": "acme", "model_asked": "long", "model_priced": "long", "output": 0}
    del known["output"]
    events = [
        usage(1, at, **known, units={"input": 1_000}, cost="0.00125", charge="0.00125"),
        usage(2, at, **known, units={"input": 500}, cost="0.000625", charge="0.000625"),
        usage(3, at, **known, units={"input": 1_001}, cost="0.0025025", charge="0.0025025"),  # a longer context
        unpriced(4, at, provider="acme", model_asked="unheard-of", units={"input": 9}),
    ]
    count(events)
    rows = {row["SkuPriceId"]: row for row in rows_of(made(wanted("focus-1.2", day, day), "parquet"))}
    assert {name: (row["PricingQuantity"], row["ListCost"]) for name, row in rows.items()} == {
        "acme/long/input/1/1250000": (1_500, Decimal("0.001875")),
        "acme/long/input/1/2500000": (1_001, Decimal("0.0025025")),
        "acme/unheard-of/input/1/0": (9, 0),
    }
    row = rows["acme/long/input/1/1250000"]
    assert row["ChargePeriodStart"] == datetime(2026, 11, 4, 18, 30, tzinfo=UTC)
    assert row["ChargePeriodEnd"] == datetime(2026, 11, 5, 18, 30, tzinfo=UTC)
    assert row["BillingPeriodStart"] == datetime(2026, 10, 31, 18, 30, tzinfo=UTC)
    assert (row["SkuMeter"], row["PricingUnit"], row["ConsumedUnit"]) == ("input tokens", "Tokens", "Tokens")
    assert row["ChargeDescription"] == "1,500 input tokens of acme long"
    without = rows["acme/unheard-of/input/1/0"]
    assert without["x_Unpriced"] == "true"
    assert without["ChargeDescription"].startswith("Unpriced: 9 input tokens of acme unheard-of")


def test_adjustments_are_corrections_and_imports_stand_as_they_were_given(prices):  # noqa: F811
    everything(prices, number=2)
    rows = rows_of(made(wanted("focus-1.2", FIRST, LAST), "parquet"))
    [correction] = [row for row in rows if row["ChargeClass"] == "Correction"]
    assert (correction["BilledCost"], correction["ListCost"]) == (Decimal("-1.25"), Decimal("-1.5"))
    assert correction["SkuPriceId"] is None
    assert correction["ListUnitPrice"] is None
    [given] = [row for row in rows if row["x_Source"] == "openai-export"]
    assert (given["PricingQuantity"], given["ListUnitPrice"], given["ContractedCost"]) == (
        1,
        Decimal("2.5"),
        Decimal("2.25"),
    )
    [credit] = [row for row in rows if row["x_Source"] == "openai-credits"]
    assert (credit["ChargeCategory"], credit["BilledCost"]) == ("Adjustment", Decimal("-0.5"))


def test_keys_projects_and_their_tags_are_named(prices, customer_of_tags):  # noqa: F811
    key, project = customer_of_tags
    count([usage(1, NOW - timedelta(days=2), key=key.id, project=project.id, tenant=key.tenant_id)])
    first = (NOW - timedelta(days=3)).date()
    rows = rows_of(made(wanted("focus-1.4", first, LAST), tenant=key.tenant_id))
    assert {row["ResourceName"] for row in rows} == {"checkout-web"}
    assert json.loads(rows[0]["Tags"]) == {"team": "search", "cost": "42"}
    assert rows[0]["x_ProjectName"] == "Checkout"


@pytest.fixture
def customer_of_tags(db, clickhouse):
    from tenants.scope import across_tenants
    from tests.spend.customer import Customer
    from tests.tenants.making import make_tenant

    customer = Customer(make_tenant("Tagged"))
    with across_tenants("a test sets tags"):
        Project.objects.filter(pk=customer.project.pk).update(tags={"team": "ads", "cost": "42"})
        ApiKey.objects.filter(pk=customer.key.pk).update(tags={"team": "search"})
    return customer.key, customer.project
