"""Sealing a month: what it waits for, what it states, and what happens to what comes afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import msgspec
import pytest
from django.core.management import call_command
from django.utils import timezone

import spend.closing.booking as booking_of
from changes.actor import Actor
from pricing.models import ExchangeRate
from pricing.rates.base import Rate
from spend.clickhouse.client import command
from spend.clickhouse.errors import UnavailableError
from spend.closing.actions import seal_month
from spend.closing.booking import NotYetError, booking
from spend.closing.drafts import Totals, draft
from spend.closing.ids import arrived_ms, derived_id, is_derived
from spend.closing.months import next_month
from spend.closing.pdf import rendered
from spend.closing.run import seal_all
from spend.closing.statement import converted, read
from spend.cost_centres.actions import change_cost_centres
from spend.cost_centres.rules import Book, Rule
from spend.ingest import insert_usage, store_usage
from spend.models import Booking, DirtyDay, MonthSeal, Rerating, Statement, UsageImport
from spend.queries.requests import request_by_id
from spend.queries.slices import Slice, cells
from spend.rerating.queries import found_by
from spend.rollup import recount
from spend.tasks import seal_months
from spend.zones import ms_of
from tenants.actions.projects import create_project
from tenants.actions.tenants import change_tenant
from tenants.errors import InvalidSettingError, RefusedError
from tenants.models import Tenant
from tenants.scope import across_tenants
from tests.pricing.catalogues import acme
from tests.pricing.conftest import sync_and_approve
from tests.spend.conftest import count, tenant
from tests.spend.events import TENANT, unpriced, usage
from tests.spend.test_rerating import SMALL, rerated, small, tried
from wire.money import usd_string

pytestmark = pytest.mark.usefixtures("queues", "clickhouse", "scope")

BY = Actor("user", "u_somebody0001", role="tenant_admin")
SEPTEMBER, OCTOBER, NOVEMBER = date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)


@pytest.fixture
def scope() -> Iterator[None]:
    with across_tenants("tests"):
        yield


def begin(month: date = OCTOBER) -> MonthSeal:
    found = Tenant.objects.get(pk=TENANT)
    return seal_month(tenant=found, month=month, confirmed=str(Totals.of(draft(found, month))), by=BY)


def seal(month: date = OCTOBER) -> Statement:
    """Seal a month, and count it as the consumer does meanwhile."""
    begin(month)
    while MonthSeal.objects.filter(state="sealing").exists():
        seal_months()
        while recount():
            pass
    return Statement.objects.get(month=month)


def of(month: date) -> Slice:
    return Slice(month, (month + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def adjustments(month: date = NOVEMBER) -> list[tuple[str, str, int, str]]:
    lines = draft(Tenant.objects.get(), month)["adjustments"]
    return [(line["month"], line["why"], line["requests"], line["charge_usd"]) for line in lines]


def test_a_statement_says_lines_totals_what_is_unpriced_and_where_it_is_from():
    tenant(TENANT, "Asia/Kolkata")
    Tenant.objects.update(currency="INR")
    for currency, rate in (("USD", 116_000_000), ("INR", 10_350_000_000)):
        for day in (date(2026, 9, 30), date(2026, 10, 30)):
            ExchangeRate.objects.create(day=day, currency=currency, rate_e8=rate, source="ECB", seen_at=timezone.now())
    first = datetime(2026, 9, 30, 18, 30, tzinfo=UTC)  # midnight there
    count(
        [
            usage(1, first - timedelta(milliseconds=1)),
            usage(2, first, charge="0.100000000001"),
            usage(3, first + timedelta(days=20), key="k_app", charge="0.200000000002"),
            unpriced(4, first + timedelta(days=1)),
        ]
    )
    seal(SEPTEMBER)
    stated = seal()
    document = read(stated.body)
    total = document["totals"]["total"]
    assert (total["charge_usd"], total["requests"]) == ("0.300000000003", 3)
    assert (total["unpriced_requests"], total["unpriced_tokens"]) == (1, 85)
    assert [line["model"] for line in document["unpriced"]] == ["acme-7b"]
    assert document["currency"] == {
        "code": "INR",
        "per_usd": "89.22413793",
        "rate_day": "2026-10-30",
        "source": "ECB",
        "units_e8": 10_350_000_000,
        "usd_e8": 116_000_000,
    }
    assert total["charge"] == "26.767241"
    assert (stated.number, document["number"], document["time_zone"]) == (
        "2026-10-0002",
        "2026-10-0002",
        "Asia/Kolkata",
    )
    assert (document["begins_at"], document["ends_at"]) == ("2026-09-30T18:30:00Z", "2026-10-31T18:30:00Z")
    assert rendered(document, stated.sha256) == bytes(stated.pdf)
    [cell] = cells(TENANT, of(OCTOBER))
    assert f"{cell.charge:.12f}" == total["charge_usd"]


@pytest.mark.parametrize("amounts", [[], [1], [333_333_333_333] * 3, [-5, 10**15 + 1, 7, 10**6], [0, 0, 1]])
def test_converted_lines_come_to_the_converted_sum(amounts):
    rate = Rate("INR", OCTOBER, 10_350_000_000, 116_000_000, "ECB")
    parts = converted(amounts, rate)
    assert sum(parts) == rate.from_pico(sum(amounts))
    assert all(abs(part - rate.from_pico(amount)) <= 1 for part, amount in zip(parts, amounts, strict=True))


def test_months_are_sealed_in_their_order_when_they_are_over_and_counted(queues, time_machine):
    tenant(TENANT)
    with pytest.raises(RefusedError, match="There is no usage yet"):
        begin()
    count([usage(1, datetime(2026, 9, 5, tzinfo=UTC)), usage(2, NOON)])
    for month, why in (
        (OCTOBER, "September 2026 comes first"),
        (date(2026, 8, 1), "begin with September 2026"),
    ):
        with pytest.raises(RefusedError, match=why):
            begin(month)
    seal(SEPTEMBER)
    with pytest.raises(RefusedError, match="is sealed already"):
        begin(SEPTEMBER)
    with pytest.raises(RefusedError, match="others than those that you confirmed"):
        seal_month(tenant=Tenant.objects.get(), month=OCTOBER, confirmed="0/0/0", by=BY)
    store_usage([usage(3, NOON)])
    with pytest.raises(RefusedError, match=r"just being counted anew|Not everything of October 2026 is counted"):
        begin()
    while recount():
        pass
    time_machine.move_to(datetime(2026, 11, 1, 23, tzinfo=UTC))
    with pytest.raises(RefusedError, match="from 2 Nov 00:00:00 UTC on"):
        begin()
    assert MonthSeal.objects.count() == 1


def test_what_waits_in_a_queue_is_waited_for(queues, time_machine):
    tenant(TENANT)
    count([usage(1, NOON)])
    now = timezone.now()
    time_machine.move_to(NOON)
    queues.send(usage(2, NOON))
    time_machine.move_to(now)
    with pytest.raises(RefusedError, match="Not everything of October 2026 is counted"):
        begin()
    queues.consume()
    assert read(seal().body)["totals"]["total"]["requests"] == 2


def test_a_re_rating_and_an_import_at_work_are_waited_for():
    tenant(TENANT)
    sync_and_approve(acme())
    count([small(1, NOON)])
    job = Rerating.objects.create(
        dry=False, begin=NOON, end=NOON + timedelta(days=1), price_version=1, created_by="u", status="running"
    )
    with pytest.raises(RefusedError, match=f"{job.pk} is at work"):
        begin()
    Rerating.objects.update(status="stopped")
    UsageImport.objects.create(
        tenant_id=TENANT,
        project=create_project(tenant=Tenant.objects.get(), name="P", by=BY),
        file_name="usage.csv",
        size=1,
        status="importing",
        price_version=1,
        override_version=0,
    )
    with pytest.raises(RefusedError, match=r"The import of usage.csv is at work"):
        begin()
    UsageImport.objects.update(status="done")
    begin()


def test_without_a_rate_of_the_currency_nothing_is_sealed():
    tenant(TENANT)
    Tenant.objects.update(currency="INR")
    count([usage(1, NOON)])
    assert "charge" not in draft(Tenant.objects.get(), OCTOBER)["totals"]["total"]
    with pytest.raises(RefusedError, match="no exchange rates yet"):
        begin()


def test_late_calls_are_booked_once_in_the_month_that_was_open_first():
    tenant(TENANT, "America/New_York")
    early, late = usage(1, NOON), usage(2, NOON + timedelta(days=1))
    count([usage(9, datetime(2026, 9, 5, tzinfo=UTC)), early])
    seal(SEPTEMBER)
    stated = bytes(seal().body)
    ancient = usage(3, datetime(2025, 1, 5, tzinfo=UTC))  # of a month before all that are sealed
    count([early, late, ancient])
    count([late])
    assert cells(TENANT, of(OCTOBER))[0].requests == 1
    assert cells(TENANT, of(NOVEMBER))[0].requests == 2
    assert adjustments() == [("2025-01", "late", 1, early.charge), ("2026-10", "late", 1, early.charge)]
    found = request_by_id(TENANT, derived_id("late", late.ts, TENANT, late.event_id))
    assert found.ts == datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert arrived_ms(str(found.event_id), ms_of(found.ts)) == late.ts
    assert stated == bytes(Statement.objects.get(month=OCTOBER).body)


def test_a_late_call_that_comes_again_stays_where_it_was_booked_first(time_machine):
    tenant(TENANT)
    late = usage(2, NOON)
    count([usage(1, datetime(2026, 9, 5, tzinfo=UTC))])
    seal(SEPTEMBER)
    early = usage(3, datetime(2026, 9, 6, tzinfo=UTC))
    count([early, late])
    stated = seal()
    assert [line["month"] for line in read(stated.body)["adjustments"]] == ["2026-09"]
    count([early, late])
    assert cells(TENANT, of(NOVEMBER)) == []
    assert adjustments() == []


def test_a_call_of_a_sealed_month_is_known_by_its_id_in_capitals():
    tenant(TENANT)
    early = usage(1, NOON)
    count([early])
    seal()
    late = usage(2, NOON)
    count([late, *(msgspec.structs.replace(each, event_id=each.event_id.upper()) for each in (early, late))])
    assert cells(TENANT, of(NOVEMBER))[0].requests == 1
    assert request_by_id(TENANT, derived_id("late", late.ts, TENANT, late.event_id)).adjusts == late.event_id


def test_a_re_rating_adjusts_and_a_second_one_counts_that_in():
    tenant(TENANT)
    sync_and_approve(acme())
    events = [small(1, NOON), small(2, NOON + timedelta(hours=1)), small(3, datetime(2026, 11, 5, tzinfo=UTC))]
    count(events)
    stated = bytes(seal().body)
    scope = {"begin": NOON - timedelta(days=5), "end": NOON + timedelta(days=40)}
    sums = found_by(tried(**scope)).whole
    assert (sums.changed, sums.adjusted, sums.adjusted_charge) == (3, 2, -2 * SMALL)
    job = rerated(**scope)
    sums = found_by(job).whole
    assert (sums.changed, sums.adjusted, sums.adjusted_charge, sums.charge_after) == (3, 2, -2 * SMALL, 3 * SMALL)
    assert cells(TENANT, of(OCTOBER))[0].charge * 10**12 == 4 * SMALL
    assert cells(TENANT, of(NOVEMBER))[0].charge * 10**12 == SMALL - 2 * SMALL
    assert cells(TENANT, of(NOVEMBER))[0].requests == 1
    assert adjustments() == [("2026-10", "repriced", 0, usd_string(-2 * SMALL))]
    assert found_by(tried(**scope)).whole.changed == 0
    assert stated == bytes(Statement.objects.get().body)


def test_what_gets_its_price_after_the_sealing_is_an_adjustment():
    tenant(TENANT)
    sync_and_approve(acme())
    event = msgspec.structs.replace(small(1, NOON), cost=None, charge=None, model_priced="")
    count([event])
    seal()
    job = rerated(begin=NOON - timedelta(days=1), end=NOON + timedelta(days=1), unpriced_only=True)
    assert found_by(job).whole.adjusted_charge == SMALL
    assert adjustments() == [("2026-10", "repriced", 0, usd_string(SMALL))]
    again = tried(begin=NOON - timedelta(days=1), end=NOON + timedelta(days=1), unpriced_only=True)
    assert found_by(again).whole.changed == 0


def test_a_tenant_keeps_the_days_of_its_sealed_months():
    found = tenant(TENANT, "Asia/Kolkata")
    count([usage(1, NOON)])
    seal()
    with pytest.raises(InvalidSettingError, match="October 2026 is sealed with days in Asia/Kolkata") as refused:
        change_tenant(tenant=found, time_zone="UTC", by=BY)
    assert refused.value.field == "time_zone"
    assert change_tenant(tenant=found, time_zone="Asia/Colombo", by=BY).time_zone == "Asia/Colombo"  # the same days
    assert change_tenant(tenant=found, name="Other", time_zone="Asia/Colombo", by=BY).name == "Other"


def test_sealed_statements_keep_the_cost_centres_that_held():
    found = tenant(TENANT)
    count([usage(1, NOON)])
    book = Book(rules=(Rule("Shop", {"env": ("dev",)}),))
    change_cost_centres(tenant=found, book=book, version=0, by=BY)
    stated = seal()
    change_cost_centres(tenant=found, book=Book(), version=1, by=BY)
    assert [each["name"] for each in read(stated.body)["cost_centres"]] == ["Shop"]
    assert verified() == {"statements": 1, "differences": []}
    assert draft(found, OCTOBER)["cost_centres"][0]["name"] == "Unallocated"


def verified() -> dict:
    out = StringIO()
    with suppress(SystemExit):
        call_command("verify_statements", "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_month_whose_calls_are_kept_no_more_is_neither_stated_nor_compared(settings):
    tenant(TENANT)
    count([usage(1, datetime(2026, 9, 5, tzinfo=UTC)), usage(2, NOON)])
    seal(SEPTEMBER)
    settings.USAGE_RETENTION_DAYS = (timezone.now() - datetime(2026, 9, 20, tzinfo=UTC)).days
    command("TRUNCATE TABLE usage_events", purpose="test")
    assert verified()["differences"] == []
    MonthSeal.objects.all().update(month=date(2026, 7, 1))
    assert next_month(TENANT) == OCTOBER


def test_verification_finds_what_was_changed_behind_our_back():
    tenant(TENANT)
    count([usage(1, NOON), usage(2, NOON)])
    stated = seal()
    assert verified()["differences"] == []
    insert_usage([usage(3, NOON)], purpose="test")
    found = [each["difference"] for each in verified()["differences"]]
    assert "requests of usage is 2 in the statement and 3 in the events" in found
    command("TRUNCATE TABLE usage_events", purpose="test")
    insert_usage([usage(1, NOON), usage(2, NOON)], purpose="test")
    assert verified()["differences"] == []
    body = bytes(stated.body).replace(b'"requests":2', b'"requests":3')
    Statement.objects.update(body=body, pdf=b"%PDF-other")
    found = [each["difference"] for each in verified()["differences"]]
    assert any("JSON" in each for each in found)
    assert any("PDF" in each for each in found)


def test_a_seal_waits_for_who_is_storing_and_for_the_dead_until_their_lease_ends():
    tenant(TENANT)
    count([usage(1, NOON)])
    with booking() as books:
        assert books.closed_until(TENANT) == 0
        begin()
        assert seal_all() == 0
        assert "still being stored" in MonthSeal.objects.get().waits_for
        insert_usage([usage(2, NOON)], purpose="test")
    assert seal_all() == 0  # the days are counted once more
    while recount():
        pass
    assert seal_all() == 1
    assert read(Statement.objects.get().body)["totals"]["total"]["requests"] == 2


def test_nobody_waits_for_who_knows_the_seal():
    """While older events keep coming, somebody is always storing some."""
    tenant(TENANT)
    count([usage(1, NOON)])
    begin()
    with booking():
        seal_all()
        while recount():
            pass
        assert seal_all() == 1


def test_who_cannot_decide_stores_nothing_and_tries_again(monkeypatch):
    tenant(TENANT)
    count([usage(1, NOON)])
    monkeypatch.setattr(booking_of, "WAIT_SECONDS", 0.05)
    dead = Booking.objects.create(until=timezone.now() + timedelta(hours=1))
    begin()
    with pytest.raises(NotYetError):
        store_usage([usage(2, NOON)])
    assert list(Booking.objects.all()) == [dead]
    Booking.objects.update(until=timezone.now() - timedelta(seconds=1))
    store_usage([usage(2, NOON)])
    assert not Booking.objects.exists()


def test_who_may_have_sent_something_is_waited_for(monkeypatch):
    tenant(TENANT)

    def away(*_, **__) -> None:
        raise UnavailableError("ClickHouse does not answer.")

    monkeypatch.setattr("spend.ingest.insert", away)
    with pytest.raises(UnavailableError):
        store_usage([usage(1, NOON)])
    assert Booking.objects.count() == 1


def test_new_events_need_no_booking(django_assert_num_queries, monkeypatch):
    tenant(TENANT)
    made = []
    monkeypatch.setattr(Booking, "save", lambda *_, **__: made.append(1))
    count([usage(1, timezone.now())])
    assert made == []
    assert not DirtyDay.objects.exists()


def test_derived_ids_are_told_apart_and_keep_the_moment():
    event = usage(1, NOON)
    found = derived_id("late", event.ts, TENANT, event.event_id)
    assert found == derived_id("late", event.ts, TENANT, event.event_id)
    assert found != derived_id("adjustment", event.ts, TENANT, event.event_id)
    assert (is_derived(found), is_derived(event.event_id)) == (True, False)
    assert arrived_ms(found, 5) == event.ts
    assert arrived_ms(event.event_id, 5) == 5
