"""Imports: what comes in, what stands already, what passed the gateway as well, and what is withdrawn."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from pricing.actions.overrides import create_override
from pricing.override_rules import OverrideSettings
from spend.importing.actions import begin_import, confirm_import, discard_import, withdraw_import
from spend.importing.run import work_off
from spend.models import ImportPart, MonthSeal, UsageImport
from spend.queries.requests import find_requests
from tenants.errors import InvalidSettingError, StatusError
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests.pricing.catalogues import catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.spend.customer import Customer
from tests.spend.imports import (
    BY,
    DAY,
    NOV_1,
    alike,
    at,
    bring,
    check,
    first_project,
    fresh,
    lines,
    page,
    settle,
    sums,
    total,
    withdraw,
)
from tests.tenants.making import make_tenant
from wire.prices import Tiered

MINI, BIG = {"input": 150_000, "output": 600_000, "cache_read": 75_000}, {"input": 2_500_000, "output": 10_000_000}
STATUS = UsageImport.Status


@pytest.fixture
def tenant(queues, clickhouse) -> Tenant:
    models = (
        listed("gpt-4o-mini", **MINI),
        listed("gpt-4o", **BIG),
        listed("long", input=Tiered(1_000, ((200_000, 2_000),)), output=5_000),
    )
    sync_and_approve(catalogue(provider("openai", *models), provider("anthropic", listed("claude", **MINI))))
    return make_tenant("Acme", time_zone="Asia/Kolkata")


@pytest.fixture
def customer(tenant) -> Customer:
    return Customer(tenant, zone="Asia/Kolkata")


def bucket(requests: int, tokens_in: int, tokens_out: int, **fields) -> dict:
    known = {"num_model_requests": requests, "input_tokens": tokens_in, "output_tokens": tokens_out}
    return known | fields


def test_a_bucket_of_many_requests_shows_them_and_is_priced_by_our_book(tenant):
    job = bring(tenant, page(bucket(42, 1_000, 100), bucket(3, 10, 5, model="gpt-4o")), "openai_usage")
    assert job.counts == {"read": 2, "new": 2, "changed": 0, "same": 0, "matched": 0, "reduced": 0, "refused": 0}
    mini, big = sorted(alike(tenant), key=lambda cell: -cell.requests)
    assert (mini.requests, mini.input_tokens, mini.output_tokens) == (42, 1_000, 100)
    assert mini.cost == Decimal(1_000 * 150_000 + 100 * 600_000).scaleb(-12)
    assert mini.groups[2:] == ("import:openai", "prod")
    assert (big.requests, big.charge) == (3, Decimal(10 * 2_500_000 + 5 * 10_000_000).scaleb(-12))
    (by_source,) = sums(tenant, "source", "usage_source")
    assert by_source.groups == ("openai", "imported")
    assert by_source.requests == 45
    rows = find_requests(tenant.id, at(0).date(), at(0).date())
    assert sorted(row.calls for row in rows) == [3, 42]
    assert {(row.request_id, row.price_version) for row in rows} == {(job.pk, 1)}


def test_the_dry_run_brings_nothing_in(tenant):
    job = check(tenant, page(bucket(42, 1_000, 100)), "openai_usage")
    assert (job.status, job.counts["new"]) == (STATUS.CHECKED, 1)
    cost = str(1_000 * 150_000 + 100 * 600_000)
    assert job.sums == [["2026-11-01", "gpt-4o-mini", "42", "1100", cost, cost, "0"]]
    assert total(tenant) is None


def test_the_same_file_again_changes_nothing_and_says_so(tenant):
    body = page(bucket(42, 1_000, 100)) + b"\n" + page(bucket(2, 50, 5), start=NOV_1 + DAY)
    bring(tenant, body, "openai_usage")
    before = alike(tenant)
    again = check(tenant, body, "openai_usage")
    assert (again.counts["same"], again.counts["new"]) == (2, 0)
    with pytest.raises(StatusError, match="Nothing of this file"):
        confirm_import(job=again, by=BY)
    assert alike(tenant) == before


def test_equal_rows_without_an_id_are_as_many_calls_and_overlap_once(tenant):
    call = {"ts": "2026-11-01T09:30:00Z", "units": {"input": 10}}
    bring(tenant, lines(call, call))
    assert total(tenant).requests == 2
    bring(tenant, lines(call, call, call, call | {"ts": "2026-11-02T09:30:00Z"}))
    assert total(tenant).requests == 4
    bring(tenant, lines(call))
    assert total(tenant).requests == 4


def test_a_bucket_that_grew_since_takes_the_place_of_the_earlier_one_whatever_the_order(tenant):
    small, large = page(bucket(2, 100, 10)), page(bucket(5, 300, 30))
    bring(tenant, small, "openai_usage")
    job = bring(tenant, large, "openai_usage")
    assert (job.counts["changed"], job.counts["new"]) == (1, 0)
    assert job.sums[0][2:4] == ["3", "220"]
    assert (total(tenant).requests, total(tenant).input_tokens) == (5, 300)
    assert check(tenant, small, "openai_usage").counts["same"] == 1
    other = make_tenant("Other")
    bring(other, large, "openai_usage")
    bring(other, small, "openai_usage")
    assert (total(other).requests, total(other).input_tokens) == (5, 300)


def test_calls_that_passed_the_gateway_are_matched_by_the_providers_request_id(customer):
    tenant = customer.tenant
    customer.call(at(9), upstream_request_id="req_1")
    body = lines(
        {"ts": "2026-11-01T09:00:01Z", "units": {"input": 21, "output": 64}, "upstream_request_id": "req_1"},
        {"ts": "2026-11-01T10:00:00Z", "units": {"input": 21, "output": 64}, "upstream_request_id": "req_2"},
    )
    job = bring(tenant, body)
    assert (job.counts["matched"], job.counts["new"]) == (1, 1)
    assert total(tenant).requests == 2
    assert total(tenant).cost == 2 * Decimal("0.000041550000")
    customer.call(at(10), upstream_request_id="req_2")  # it comes late
    assert total(tenant).requests == 3
    assert settle() == 1
    assert total(tenant).requests == 2
    assert settle() == 0
    alike(tenant)


def test_from_a_bucket_is_taken_what_passed_the_gateway_never_below_zero(customer):
    tenant = customer.tenant
    for hour in (1, 5, 9):
        customer.call(at(hour), units={"input": 100, "output": 10}, cost="0.000021000000")
    customer.call(
        at(9), units={"input": 100, "output": 10}, model_asked="gpt-4o", model_priced="gpt-4o", cost="0.00035"
    )
    job = bring(tenant, page(bucket(5, 450, 45), bucket(1, 60, 5, model="gpt-4o")), "openai_usage")
    assert (job.counts["new"], job.counts["reduced"], job.counts["matched"]) == (1, 1, 1)
    mini = next(cell for cell in sums(tenant, "model") if cell.groups == ("gpt-4o-mini",))
    assert (mini.requests, mini.input_tokens, mini.output_tokens) == (5, 450, 45)
    assert mini.cost == Decimal(450 * 150_000 + 45 * 600_000).scaleb(-12)
    big = next(cell for cell in sums(tenant, "model") if cell.groups == ("gpt-4o",))
    assert (big.requests, big.input_tokens) == (1, 100)
    customer.call(at(11), units={"input": 150, "output": 15}, cost="0.0000315")
    customer.call(at(12), units={"input": 900, "output": 90}, cost="0.000189")
    assert settle() > 0
    mini = next(cell for cell in sums(tenant, "model") if cell.groups == ("gpt-4o-mini",))
    assert (mini.requests, mini.input_tokens, mini.output_tokens) == (5, 1_350, 135)
    alike(tenant)


def test_buckets_draw_from_the_calls_of_their_credential_or_project(customer):
    tenant = customer.tenant
    search = customer.new_project("Search")
    customer.call(at(3), units={"input": 100}, cost="0.000015", credential="default")
    customer.call(at(4), units={"input": 70}, cost="0.0000105", project=search.id)
    rows = [
        bucket(1, 100, 0, api_key_id="key_gateway"),
        bucket(2, 50, 0, api_key_id="key_search"),
        bucket(7, 30, 0, api_key_id="key_elsewhere"),
    ]
    mapping = {"key_gateway": (customer.project.id, "default"), "key_search": (search.id, "")}
    job = bring(tenant, page(*rows), "openai_usage", mapping=mapping)
    assert job.counts["matched"] == 1
    imported = {cell.groups[0]: cell for cell in sums(tenant, "project", "source") if cell.groups[1]}
    assert imported[search.id].requests == 1
    assert imported[search.id].input_tokens == 0
    assert imported[first_project(tenant)].input_tokens == 10  # 20 of the 70 were left to buckets of any pool
    assert sum(cell.input_tokens for cell in sums(tenant)) == 180


def test_a_dry_run_and_the_import_agree_when_a_day_is_split_over_chunks(customer, monkeypatch):
    monkeypatch.setattr("spend.importing.run.CHUNK", 2)
    for hour in range(6):
        customer.call(at(hour), units={"input": 30}, cost="0.0000045")
    keys = [bucket(2, 40, 0, api_key_id=f"key_{number}") for number in range(7)]
    job = bring(customer.tenant, page(*keys), "openai_usage")
    assert job.counts["matched"] + job.counts["new"] == 7
    assert total(customer.tenant).input_tokens == 280


def test_reports_with_more_kinds_of_tokens_than_answers_and_with_fewer(customer):
    customer.call(at(3), units={"input": 80, "cache_read": 20, "output": 6, "reasoning": 4}, cost="0.00002")
    job = bring(customer.tenant, page(bucket(1, 100, 10)), "openai_usage")
    assert job.counts["matched"] == 1
    assert total(customer.tenant).input_tokens == 100


def test_the_providers_own_cost_is_kept_and_only_the_rest_of_it_counts(customer):
    tenant = customer.tenant
    customer.call(at(3), cost="0.002")
    costs = {
        "object": "bucket",
        "start_time": NOV_1,
        "end_time": NOV_1 + DAY,
        "results": [
            {"amount": {"value": 0.0015, "currency": "usd"}, "line_item": "gpt-4o-mini, input"},
            {"amount": {"value": 0.0035, "currency": "usd"}, "line_item": "gpt-4o-mini, output"},
            {"amount": {"value": 0.25, "currency": "usd"}, "line_item": "web search tool calls"},
        ],
    }
    bring(tenant, json.dumps(costs).encode(), "openai_costs")
    assert total(tenant).cost == Decimal("0.255")
    assert total(tenant).requests == 1
    own = bring(tenant, lines({"ts": "2026-11-03", "units": {"input": 10}, "cost": "0.5", "id": "x"}))
    assert own.sums[0][4] == str(500_000_000_000)


def test_charges_follow_the_tenants_overrides_and_costs_do_not(tenant):
    wanted = OverrideSettings(
        name="Discount", kind="percent", basis_points=-5_000, starts_at=at(0).replace(year=2026, month=1)
    )
    create_override(tenant=tenant, wanted=wanted, by=BY)
    bring(tenant, page(bucket(1, 1_000, 0)), "openai_usage")
    bring(tenant, lines({"ts": "2026-11-02", "cost": "3", "model": ""}))
    by_source = {cell.groups[0]: cell for cell in sums(tenant, "source")}
    assert (by_source["openai"].cost, by_source["openai"].charge) == (Decimal("0.00015"), Decimal("0.000075"))
    assert (by_source["file"].cost, by_source["file"].charge) == (Decimal(3), Decimal("1.5"))


def test_prices_by_length_go_by_the_average_call_of_a_bucket(tenant):
    bring(tenant, page(bucket(10, 1_000_000, 0, model="long")), "openai_usage")
    assert total(tenant).cost == Decimal(1_000_000 * 1_000).scaleb(-12)
    bring(tenant, page(bucket(1, 1_000_000, 0, model="long"), start=NOV_1 + DAY), "openai_usage")
    assert total(tenant).cost == Decimal(1_000_000 * 3_000).scaleb(-12)


def test_what_has_no_price_comes_in_unpriced(tenant):
    bring(tenant, page(bucket(4, 100, 10, model="house-7b")), "openai_usage")
    assert (total(tenant).unpriced_requests, total(tenant).unpriced_tokens, total(tenant).cost) == (4, 110, 0)


def test_a_withdrawn_import_leaves_sums_exactly_as_they_were(customer):
    tenant = customer.tenant
    customer.call(at(3), units={"input": 100}, cost="0.000015")
    bring(tenant, page(bucket(5, 500, 50), start=NOV_1 + DAY), "openai_usage")
    before = alike(tenant)
    job = bring(tenant, page(bucket(5, 500, 50), bucket(1, 5, 5, model="gpt-4o")), "openai_usage")
    assert alike(tenant) != before
    assert withdraw(job).status == STATUS.WITHDRAWN
    assert alike(tenant) == before
    assert len(find_requests(tenant.id, at(0).date(), at(0, 5).date())) == 2
    again = bring(tenant, page(bucket(5, 500, 50), bucket(1, 5, 5, model="gpt-4o")), "openai_usage")
    assert again.counts["new"] == 2
    assert settle() == 0
    withdraw(again)
    assert alike(tenant) == before
    with pytest.raises(StatusError, match="nothing to withdraw"):
        withdraw_import(job=again, by=BY)


def test_what_is_withdrawn_frees_what_it_took_from_the_gateways_calls(customer):
    customer.call(at(3), units={"input": 100}, cost="0.000015")
    first = bring(customer.tenant, page(bucket(1, 100, 0, api_key_id="a")), "openai_usage")
    bring(customer.tenant, page(bucket(1, 100, 0, api_key_id="b")), "openai_usage")
    assert total(customer.tenant).input_tokens == 200
    withdraw(first)
    assert total(customer.tenant).input_tokens == 100


def test_a_sealed_month_is_refused_line_by_line_and_stays_when_withdrawn(tenant):
    job = bring(tenant, page(bucket(1, 10, 1), start=NOV_1 - 3 * DAY) + b"\n" + page(bucket(1, 10, 1)), "openai_usage")
    november = (NOV_1 - 5 * 3600 - 1800) * 1000  # 1 November in India
    with tenant_scope(tenant.id):
        MonthSeal.objects.create(
            tenant=tenant,
            month=at(0).date().replace(month=10),
            zone="Asia/Kolkata",
            begin_ms=november - 31 * DAY * 1000,
            end_ms=november,
            currency="USD",
            complete_ms=november,
            created_by="u_1",
        )
    with pytest.raises(StatusError, match="sealed"):
        withdraw_import(job=job, by=BY)
    late = bring(tenant, page(bucket(9, 90, 9), start=NOV_1 - 2 * DAY) + b"\n" + page(bucket(9, 90, 9)), "openai_usage")
    assert (late.counts["refused"], late.counts["changed"]) == (1, 1)
    assert late.errors == [
        [
            1,
            "data[0].results[0]",
            "October 2026 is sealed: nothing comes into it any more. Book it as an adjustment instead.",
        ]
    ]
    assert total(tenant).requests == 10


def test_a_report_grouped_otherwise_would_count_twice_and_is_refused(tenant):
    bring(tenant, page(bucket(5, 500, 50)), "openai_usage")
    finer = check(tenant, page(bucket(3, 300, 30, project_id="a"), bucket(2, 200, 20, project_id=None)), "openai_usage")
    assert (finer.counts["refused"], finer.counts["same"], finer.counts["new"]) == (1, 1, 0)
    assert "grouped by model, and this one is by day, grouped by model, project_id" in finer.errors[0][2]
    hourly = check(tenant, page(bucket(3, 300, 30), seconds=3600), "openai_usage")
    assert "by hour" in hourly.errors[0][2]
    costs = json.dumps(
        {
            "start_time": NOV_1,
            "end_time": NOV_1 + DAY,
            "results": [{"amount": {"value": 1}, "line_item": "gpt-4o, input"}],
        }
    ).encode()
    assert "Reconcile instead" in check(tenant, costs, "openai_costs").errors[0][2]
    other = bring(tenant, page(bucket(3, 300, 30, project_id="a"), start=NOV_1 + DAY), "openai_usage")
    assert other.counts["new"] == 1
    coarser = check(tenant, page(bucket(9, 900, 90), start=NOV_1 + DAY), "openai_usage")
    assert (coarser.counts["refused"], coarser.counts["new"]) == (1, 0)


def test_days_of_which_calls_may_be_gone_are_left_as_they_are(tenant, settings):
    job = bring(tenant, page(bucket(1, 10, 1)), "openai_usage")
    settings.USAGE_RETENTION_DAYS = 5
    late = check(tenant, page(bucket(9, 90, 9)), "openai_usage")
    assert "older than single calls are kept here (5 days)" in late.errors[0][2]
    with pytest.raises(StatusError, match="not kept any more"):
        withdraw_import(job=job, by=BY)
    assert settle() == 0
    assert total(tenant).requests == 1


def test_errors_are_counted_all_and_kept_up_to_a_thousand(tenant, monkeypatch):
    good = {"ts": "2026-11-01T09:30:00Z", "units": {"input": 10}}
    job = bring(tenant, b"\n".join([lines(good), *[b"{}"] * 1_100]))
    assert (job.counts["read"], job.counts["refused"], len(job.errors)) == (1_101, 1_100, 1_000)
    assert job.errors[0] == [2, "", "ts is 'None': give a moment like 2026-11-20T12:00:00Z."]


def test_projects_come_by_column_and_unknown_ones_are_refused(customer):
    search = customer.new_project("Search")
    call = {"ts": "2026-11-01T09:30:00Z", "units": {"input": 10}}
    job = bring(
        customer.tenant,
        lines(
            call | {"project": "search"},
            call | {"project": search.id, "id": "2"},
            call | {"project": "nope"},
            call | {"env": "moon"},
        ),
    )
    assert [why for *_, why in job.errors] == [
        "There is no project 'nope': write its id or its name.",
        "There is no environment 'moon': choose dev or prod.",
    ]
    assert [cell.requests for cell in sums(customer.tenant, "project")] == [2]


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (b"a,b\n1,2\n", "openai_usage", "choose the other kind"),
        (b"a,b\n1,2\n", "openai_usage_csv", "has no column"),
        (b'{"data": []}', "openai_usage", "no row"),
        (b"ts,model\n", "file", "no row"),
    ],
)
def test_a_file_of_another_kind_fails_as_a_whole(tenant, body, kind, why):
    job = check(tenant, body, kind)
    assert job.status == STATUS.FAILED
    assert why in job.error
    with tenant_scope(tenant.id):
        assert not ImportPart.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "excel"}, "kind"),
        ({"env": "moon"}, "env"),
        ({"project_id": "p_000000000000"}, "project"),
        ({"mapping": {"key_a": ("nope", "")}}, "mapping"),
        ({"pieces": []}, "file"),
        ({"pieces": [b"x" * 2**20] * 201}, "file"),
    ],
)
def test_what_cannot_begin_is_refused_with_the_field(tenant, wrong, field):
    given = {"kind": "file", "project_id": first_project(tenant), "env": "prod", "file_name": "f", "pieces": [b"{}"]}
    with pytest.raises(InvalidSettingError) as refused:
        begin_import(tenant=tenant, by=BY, **(given | wrong))
    assert refused.value.field == field
    with tenant_scope(tenant.id):
        assert not UsageImport.objects.exists()


def test_a_discarded_file_is_forgotten(tenant):
    job = check(tenant, page(bucket(1, 10, 1)), "openai_usage")
    discard_import(job=job, by=BY)
    with tenant_scope(tenant.id):
        assert not ImportPart.objects.exists()
    assert not work_off(job.pk, tenant.id)
    assert fresh(job).status == STATUS.FAILED
    assert total(tenant) is None
