"""All tenants side by side: each as on its own page, the sum of all to the last decimal, for platform roles only."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.urls import reverse

from spend.across.rows import chosen_rows, side_by_side
from spend.clickhouse.client import forget_connections
from spend.periods import Choice, period_of
from spend.queries import sums_of_tenants as sums
from spend.queries.daily import daily_spend
from spend.queries.slices import Slice, cells
from spend.stack import total_of
from spend.zones import calendar_of, ms_of
from tenants.models import Tenant
from tests.spend.conftest import count, tenant
from tests.spend.events import unpriced, usage

PAGE = reverse("spend:tenants")
ZONES = {
    "t_utc0000001": "UTC",
    "t_kolkata001": "Asia/Kolkata",
    "t_newyork001": "America/New_York",
    "t_chatham001": "Pacific/Chatham",
    "t_samoa00001": "Pacific/Pago_Pago",
}
# a moment on which the zones have three different todays at the turn of a month
TURN = datetime(2026, 10, 31, 10, 30, tzinfo=UTC)
MOMENTS = [TURN, datetime(2026, 11, 1, 5, 30, tzinfo=UTC)]


def text_of(response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def filled(now: datetime) -> None:
    events = []
    for place, (name, zone) in enumerate(ZONES.items()):
        tenant(name, zone)
        for number in range(35):
            at = now - timedelta(hours=43 * number, minutes=7 * place)
            amount = f"{place + 1}.{number:03d}000000001"
            events.append(usage(place * 1000 + number, at, tenant=name, charge=amount, cost=f"0.{number:03d}000000007"))
        events.append(unpriced(place * 1000 + 900, now - timedelta(days=2), tenant=name))
    count(events)


@pytest.mark.parametrize("now", MOMENTS, ids=str)
def test_each_tenant_is_what_its_own_page_says_and_the_sum_is_theirs(queues, clickhouse, now):
    with time_machine.travel(now, tick=False):
        filled(now)
        for choice in Choice:
            _compare(choice, now)


def _compare(choice: Choice, now: datetime) -> None:
    days = {"first": date(2026, 9, 30), "last": now.date() + timedelta(days=3)} if choice is Choice.CUSTOM else {}
    found = side_by_side(choice, now=now, **days)
    own = {}
    for row in found.rows:
        period = period_of(choice, calendar_of(row.id).day_of(ms_of(now)), **days)
        rows = daily_spend(row.id, period.first, period.last, group_by="model")
        page = total_of(rows)
        assert (row.now.charge, row.now.cost) == (page.charge, page.cost)
        assert (row.now.requests, row.now.tokens) == (page.requests, page.tokens)
        assert (row.now.unpriced_requests, row.now.errors) == (page.unpriced, page.errors)
        closed = [each for each in rows if period.closed_last and each.day <= period.closed_last]
        assert row.closed.charge == total_of(closed).charge
        compared = period.compared()
        if compared:
            assert row.before.charge == total_of(daily_spend(row.id, *compared, group_by="env")).charge
        own[row.id] = sum((cell.charge for cell in cells(row.id, Slice(period.first, period.last))), Decimal(0))
    assert set(own) == set(ZONES)
    assert found.total.charge == sum(own.values())
    assert found.total.charge == 0 or found.total.charge.as_tuple().exponent == -12


def test_it_is_one_question_whatever_the_number_of_tenants(queues, clickhouse, monkeypatch):
    filled(TURN)
    asked = []

    def counting(sql, *args, **more):
        asked.append(more)
        return original(sql, *args, **more)

    original = sums.ask
    monkeypatch.setattr(sums, "ask", counting)
    side_by_side(Choice.LAST_30_DAYS, now=TURN)
    assert [each["across_tenants"] for each in asked] == [True]


def test_rows_are_found_and_ordered(queues, clickhouse):
    filled(TURN)
    tenant("t_idle000001")
    found = side_by_side(Choice.LAST_30_DAYS, now=TURN)
    assert chosen_rows(found, sort="charge")[0].id == "t_samoa00001"
    assert [row.id for row in chosen_rows(found, sort="name")] == sorted(ZONES)
    assert [row.id for row in chosen_rows(found, search="KOLK")] == ["t_kolkata001"]
    assert len(chosen_rows(found, all_of_them=True)) == len(ZONES) + 1
    assert len(chosen_rows(found, sort="nonsense")) == len(ZONES)


def test_usage_of_an_unknown_tenant_is_not_left_out(queues, clickhouse):
    count([usage(1, TURN, tenant="t_nobody0001", charge="3")])
    found = side_by_side(Choice.CUSTOM, now=TURN, first=date(2026, 10, 1), last=date(2026, 10, 31))
    assert [(row.id, row.status, row.now.charge) for row in found.rows] == [("t_nobody0001", "", Decimal(3))]


def test_thousands_of_tenants_come_in_pages(admin_client, queues, clickhouse):
    Tenant.objects.bulk_create([Tenant(id=f"t_many{number:07d}", name=f"Many {number:04d}") for number in range(1200)])
    now = datetime.now(UTC)
    count([usage(number, now, tenant=f"t_many{number:07d}", charge=f"{number}.5") for number in range(0, 1200, 5)])
    first = admin_client.get(f"{PAGE}?period=7d")
    assert "1 to 50 of 240" in text_of(first)
    assert "Many 1195" in text_of(first)
    last = admin_client.get(f"{PAGE}?period=7d&page=5&sort=charge")
    assert "201 to 240 of 240" in text_of(last)
    assert "Many 0000" in text_of(last)
    assert "of 1,201" in text_of(first)
    answer = admin_client.get("/api/v1/spend/tenants?period=7d&limit=1000").json()
    assert (answer["count"], len(answer["items"])) == (240, 240)
    total = sum(Decimal(each["charge_usd"]) for each in answer["items"])
    assert (
        Decimal(answer["total"]["charge_usd"]) == total == sum(Decimal(n) + Decimal("0.5") for n in range(0, 1200, 5))
    )


def test_chart_table_and_figure_have_the_same_values(admin_client, queues, clickhouse):
    now = datetime.now(UTC)
    for name in ZONES:
        tenant(name)
    count([usage(n, now, tenant=name, charge=f"{n + 1}.000000000001", cost=f"{n}.5") for n, name in enumerate(ZONES)])
    page = admin_client.get(f"{PAGE}?period=7d").content.decode()
    bars = json.loads(re.search(r'id="tenants-figure" type="application/json">(.*?)</script>', page, re.S)[1])["figure"]
    table = re.search(r'id="largest-table">(.*?)</table>', page, re.S)[1]
    cells_of = [Decimal(each) for each in re.findall(r'<td class="num">\$([^<]+)</td>', table)]
    assert [Decimal(value) for value in bars["data"][0]["x"]] == cells_of[::2]
    assert [Decimal(value) for value in bars["data"][1]["x"]] == cells_of[1::2]
    assert f'id="all-charge" title="${sum(cells_of[::2])}"' in page
    assert f'id="rows-charge" title="${sum(cells_of[::2])}"' in page


def test_a_click_enters_the_tenants_own_page(admin_client, queues, clickhouse):
    tenant("t_kolkata001")
    count([usage(1, datetime.now(UTC), tenant="t_kolkata001", charge="4")])
    page = admin_client.get(f"{PAGE}?period=7d&sort=name").content.decode()
    assert 'action="/tenants/t_kolkata001/switch"' in page or "t_kolkata001" in page
    back = re.search(r'name="next" value="([^"]+)"', page)[1]
    answer = admin_client.post(reverse("tenants:switch", args=["t_kolkata001"]), {"next": html.unescape(back)})
    assert (answer.status_code, answer.url) == (302, "/spend?period=7d")
    assert "$4.00" in text_of(admin_client.get(answer.url))


def test_a_hostile_name_stays_text(admin_client, queues, clickhouse):
    Tenant.objects.create(id="t_hostile001", name="<img src=x onerror=alert(1)>")
    count([usage(1, datetime.now(UTC), tenant="t_hostile001", charge="4")])
    assert "<img src=x" not in admin_client.get(f"{PAGE}?period=7d").content.decode().replace("\\u003C", "")


def test_without_clickhouse_it_says_so(admin_client, queues, clickhouse, settings):
    settings.CLICKHOUSE_URL = "clickhouse://127.0.0.1:1/spendops"
    forget_connections()
    assert admin_client.get(PAGE).status_code == 503
    assert admin_client.get("/api/v1/spend/tenants").status_code == 503
    forget_connections()


def test_the_api_refuses_days_that_make_no_period(admin_client, queues, clickhouse):
    answer = admin_client.get("/api/v1/spend/tenants?period=custom&first=2026-02-02&last=2026-02-01")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_period")
    assert "swap them" in text_of(admin_client.get(f"{PAGE}?period=custom&first=2026-02-02&last=2026-02-01"))
