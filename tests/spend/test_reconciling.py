"""Invoices beside our sums: planted differences of every class are found, exactly they, and come to the difference."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spend.reconciling import actions
from spend.reconciling.actions import compare_invoice
from spend.reconciling.classify import Row, Why, classify, totals
from spend.reconciling.queries import compared_rows, usd_of
from tenants.errors import InvalidSettingError
from tests.pricing.catalogues import catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.spend.customer import Customer
from tests.spend.imports import BY, DAY, NOV_1
from tests.tenants.making import make_tenant

FIXTURE = Path(__file__).parent / "fixtures" / "invoices" / "planted.csv"
PICO = 10**12
CENT = PICO // 100
MODELS = ("plain", "bypassed", "partly", "dear", "midnight", "fresh", "odd", "rounded")


@pytest.fixture
def customer(queues, clickhouse) -> Customer:
    sync_and_approve(catalogue(provider("openai", *(listed(name, input=1_000_000) for name in MODELS))))
    return Customer(make_tenant("Acme"), zone="America/New_York")


def used(customer: Customer, model: str, day: int, tokens: int, hour: int = 12) -> None:
    """Tokens of a model on a UTC day of November, at a dollar a million."""
    cost = f"{Decimal(tokens) / 1_000_000:.12f}"
    customer.call(
        datetime(2026, 11, day, hour, tzinfo=UTC),
        model_asked=model,
        model_priced=model,
        units={"input": tokens},
        cost=cost,
    )


def plant(customer: Customer) -> None:
    """What passed the gateway from 1 to 6 November; `planted.csv` is what the provider says of the same days."""
    for day in range(1, 7):
        used(customer, "plain", day, 1_000_000)
        used(customer, "fresh", day, 2_000_000 if day < 6 else 1_500_000)
    used(customer, "partly", 2, 1_000_000)
    used(customer, "dear", 2, 3_000_000)
    used(customer, "midnight", 3, 700_000, hour=23)
    used(customer, "midnight", 3, 300_000)
    used(customer, "midnight", 4, 300_000)
    used(customer, "rounded", 5, 999_999)
    used(customer, "odd", 5, 1_000_000)


def compared(customer: Customer, body: bytes, **options):
    known = {"kind": "invoice", "provider": "openai", "file_name": "november.csv", "pieces": [body]}
    return compare_invoice(tenant=customer.tenant, by=BY, **(known | options))


def test_planted_differences_are_found_exactly_they(customer):
    plant(customer)
    found = compared(customer, FIXTURE.read_bytes())
    wrong = {
        (row.day.day, row.model): {why.value: amount for why, amount in row.parts.items()}
        for row in compared_rows(found)
        if row.parts
    }
    assert wrong == {
        (1, "bypassed"): {"bypassed": Decimal(4)},
        (2, "partly"): {"bypassed": Decimal("0.5")},
        (2, "dear"): {"mispriced": Decimal("1.5")},
        (3, "midnight"): {"late": Decimal("-0.7")},
        (4, "midnight"): {"late": Decimal("0.7")},
        (6, "fresh"): {"late": Decimal("0.5")},
        (5, "rounded"): {"rounding": Decimal("0.000001")},
        (5, "odd"): {"unexplained": Decimal("-0.25")},
        (4, ""): {"credit": Decimal("-10")},
        (6, "plain"): {"credit": Decimal("-0.2")},
    }
    assert found.totals["difference"] == str(sum(int(found.totals[why.value]) for why in Why))
    assert usd_of(found.totals["theirs"]) - usd_of(found.totals["ours"]) == usd_of(found.totals["difference"])
    dear = next(row for row in compared_rows(found) if row.model == "dear")
    assert (dear.their_price, dear.our_price, dear.price_version) == (Decimal("1.5"), Decimal(1), 1)
    assert (found.first, found.last) == (date(2026, 11, 1), date(2026, 11, 6))
    assert found.errors == [[2, "", "amount is 'n/a': give an amount like 0.00123."]]


def test_an_invoice_of_more_models_than_a_page_shows_is_refused(customer, monkeypatch):
    monkeypatch.setattr(actions, "ROWS_MOST", 2)
    with pytest.raises(InvalidSettingError, match="compare the invoice in parts"):
        compared(customer, b"day,model,amount\n2026-11-01,a,1\n2026-11-01,b,1\n2026-11-01,c,1\n")


def test_what_no_database_keeps_is_refused_by_its_line(customer):
    body = json.dumps({"day": "2026-11-01", "model": "a\x00b", "amount": 1})
    found = compared(
        customer, f'{body}\n{{"day": "2026-11-01", "model": "b", "amount": 1}}'.encode(), file_name="a\x00b"
    )
    assert (found.refused, found.file_name) == (1, "ab")


def test_days_are_the_providers_utc_days_whatever_the_tenants_zone(customer):
    used(customer, "plain", 2, 1_000_000, hour=1)  # still the 1st in New York
    found = compared(customer, b"day,model,amount\n2026-11-02,plain,1\n2026-11-01,plain,0\n")
    assert [row.difference for row in compared_rows(found)] == [0, 0]


def test_openais_costs_and_usage_report_say_what_bypassed_us(customer):
    used(customer, "plain", 1, 1_000_000)
    costs = {
        "start_time": NOV_1,
        "end_time": NOV_1 + DAY,
        "results": [
            {"amount": {"value": 3, "currency": "usd"}, "line_item": "plain, input"},
            {"amount": {"value": -1, "currency": "usd"}, "line_item": "Promotional credit"},
        ],
    }
    usage = {
        "object": "organization.usage.completions.result",
        "model": "plain",
        "input_tokens": 2_000_000,
        "output_tokens": 0,
        "num_model_requests": 9,
    }
    report = {"start_time": NOV_1, "end_time": NOV_1 + DAY, "results": [usage]}
    found = compared(
        customer,
        json.dumps(costs).encode(),
        kind="openai_costs",
        usage_kind="openai_usage",
        usage_name="usage.json",
        usage_pieces=[json.dumps(report).encode()],
    )
    (credit, plain) = compared_rows(found)
    assert credit.parts == {Why.CREDIT: Decimal(-1)}
    assert plain.parts == {Why.BYPASSED: Decimal("1.5"), Why.MISPRICED: Decimal("0.5")}


def test_without_tokens_one_factor_on_all_days_is_a_price(customer):
    for day in (1, 2, 3):
        used(customer, "dear", day, 1_000_000 * day)
    text = "day,model,amount\n" + "".join(f"2026-11-0{day},dear,{1.2 * day:.1f}\n" for day in (1, 2, 3))
    found = compared(customer, text.encode())
    assert [set(row.parts) for row in compared_rows(found)] == [{Why.MISPRICED}] * 3


def test_anthropics_cents_and_dollars(customer):
    result = {"amount": "150", "currency": "USD", "model": "claude", "cost_type": "tokens", "description": "Usage"}
    bucket = {"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z", "results": [result]}
    found = compared(customer, json.dumps({"data": [bucket]}).encode(), kind="anthropic_costs", provider="")
    assert (found.provider, usd_of(found.totals["bypassed"])) == ("anthropic", Decimal("1.5"))
    body = b"usage_date_utc,model,cost_usd\n2026-11-01,Claude Haiku 4.5,0.05\n"
    assert compared_rows(compared(customer, body, kind="anthropic_costs_csv"))[0].model == "claude-haiku-4-5"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"kind": "pdf"}, "kind"),
        ({"provider": ""}, "provider"),
        ({"tolerance": "much"}, "tolerance"),
        ({"tolerance": "5000"}, "tolerance"),
        ({"pieces": []}, "file"),
        ({"pieces": [b"day,model\n2026-11-01,plain\n"]}, "file"),
        ({"pieces": [b"day,model,amount\n2026-11-01,a,1\n2025-01-01,a,1\n"]}, "file"),
        ({"pieces": [b"x" * (20 * 2**20 + 1)]}, "file"),
        ({"usage_kind": "litellm"}, "usage_kind"),
        ({"usage_kind": "openai_usage", "usage_pieces": [b"{}"]}, "usage_file"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_field(customer, options, field):
    with pytest.raises(InvalidSettingError) as refused:
        compared(customer, b"day,model,amount\n2026-11-01,plain,1\n", **options)
    assert refused.value.field == field


_amounts = st.integers(0, 3).map(lambda dollars: dollars * PICO) | st.integers(0, 5 * PICO)
_rows = st.lists(
    st.builds(
        Row,
        day=st.integers(0, 5).map(lambda number: date(2026, 11, 1) + timedelta(days=number)),
        model=st.sampled_from(["a", "b"]),
        theirs=_amounts,
        credit=st.integers(-PICO, 0),
        ours=_amounts,
        their_tokens=st.none() | st.integers(0, 2_000),
        our_tokens=st.integers(0, 2_000),
    ),
    max_size=8,
    unique_by=lambda row: (row.day, row.model),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(rows=_rows, tolerance=st.sampled_from([0, CENT, PICO]))
def test_classes_always_come_to_the_difference(rows, tolerance):
    found = classify(rows, tolerance=tolerance)
    for row in found:
        assert sum(row.parts.values()) == row.difference
        assert 0 not in row.parts.values()
    sums = totals(found)
    assert sum(sums[why.value] for why in Why) == sums["difference"] == sums["theirs"] - sums["ours"]


def test_the_fixture_is_what_it_says():
    rows = list(csv.DictReader(io.StringIO(FIXTURE.read_text())))
    assert {row["model"] for row in rows} - {""} == set(MODELS)
