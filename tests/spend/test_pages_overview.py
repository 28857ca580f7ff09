"""The spend page: its figure, chart and table are one sum; days are the tenant's; it says which empty it is."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.conf import settings

from changes.actor import Actor
from pricing.models import ExchangeRate
from spend.anomalies.actions import settle_anomaly
from spend.anomalies.queries import anomalies
from spend.anomalies.run import look_for_anomalies
from spend.clickhouse.client import forget_connections
from spend.forecasts.run import make_forecasts
from spend.queries.freshness import freshness
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests.budgets.making import make_budget
from tests.spend.customer import Customer
from wire.display import money, usd, usd_exact
from wire.events import Status, encode
from wire.queues.base import USAGE

BY = Actor("user", "u_finance0001", role="finance_viewer")


@pytest.fixture
def customer(admin_client, clickhouse) -> Customer:
    return Customer(admin_client.tenant, zone="Asia/Kolkata")


def text_of(response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def figure(response) -> Decimal:
    """The exact amount that stands behind the period's figure."""
    return amount(re.search(r'id="period-total" title="([^"]+)"', response.content.decode())[1])


def chart(response) -> dict:
    block = re.search(
        r'<script id="spend-figure" type="application/json">(.*?)</script>', response.content.decode(), re.S
    )
    return json.loads(block[1])["figure"]


def drawn(response) -> Decimal:
    return sum((Decimal(value) for bars in chart(response)["data"] for value in bars["y"]), Decimal(0))


def cells(response) -> list[list[Decimal]]:
    """The rows of the daily table, the total column first; the foot last."""
    table = re.search(r'id="spend-table">(.*?)</table>', response.content.decode(), re.S)[1]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)[1:]
    return [[amount(value) for value in re.findall(r'<td class="num"[^>]*>([^<]+)</td>', row)] for row in rows]


def amount(shown: str) -> Decimal:
    return Decimal(html.unescape(shown).replace("$", "").replace(",", "").replace("−", "-"))


@pytest.mark.parametrize("group", ["model", "project", "key", "provider", "env"])
def test_figure_chart_and_table_come_to_one_sum_to_the_last_decimal(admin_client, customer, group):
    costs = ["0.000041550000", "12.000000000001", "0.333333333333", "1.999999999999", "7", "0.000000000001"]
    customer.count(
        [
            customer.event(
                customer.now - timedelta(hours=7 * number), model_asked=f"m{number % 9}", model_priced="", cost=cost
            )
            for number, cost in enumerate(costs * 4)
        ]
    )
    total = sum(map(Decimal, costs)) * 4
    page = admin_client.get(f"/spend?period=30d&group={group}")
    assert figure(page) == total
    assert drawn(page) == total
    rows = cells(admin_client.get(f"/spend?period=30d&group={group}&view=table"))
    assert rows[-1][0] == total
    assert sum(row[0] for row in rows[:-1]) == total
    assert all(row[0] == sum(row[1:]) for row in rows)
    assert len(rows) == 31
    running = chart(admin_client.get(f"/spend?period=30d&group={group}&view=cumulative"))
    assert sum(Decimal(bars["y"][-1]) for bars in running["data"]) == total


def test_a_month_begins_at_midnight_in_the_tenant_s_zone(admin_client, customer):
    begin = customer.midnight.replace(day=1)
    customer.call(begin, cost="1")
    customer.call(begin - timedelta(milliseconds=1), cost="10")
    assert figure(admin_client.get("/spend")) == 1
    assert figure(admin_client.get("/spend?period=last-month")) == 10
    days = f"first={begin.date()}&last={begin.date()}"
    assert figure(admin_client.get(f"/spend?period=custom&{days}")) == 1
    assert "days in Asia/Kolkata" in text_of(admin_client.get("/spend"))


def test_only_today_is_drawn_as_open(admin_client, customer):
    customer.call()
    (bars,) = chart(admin_client.get("/spend?period=7d"))["data"]
    assert bars["x"][-1] == customer.now.date().isoformat()
    assert bars["marker"]["pattern"]["shape"] == [""] * 6 + ["/"]
    assert "today, still open" in text_of(admin_client.get("/spend?period=7d"))


def test_days_that_are_over_are_compared(admin_client, customer):
    customer.call(customer.midnight - timedelta(days=1), cost="3")
    customer.call(customer.midnight - timedelta(days=8), cost="2")
    customer.call(customer.now, cost="100")  # today is not over and must not count
    assert "up 50% vs $2.00 on" in text_of(admin_client.get("/spend?period=7d"))


def test_groups_go_by_their_names_and_lead_to_their_requests(admin_client, customer):
    customer.call()
    page = admin_client.get("/spend?group=project")
    assert "Checkout" in text_of(page)
    link = html.unescape(re.search(r'href="(/requests\?[^"]+)"', page.content.decode())[1])
    assert customer.project.id in link
    assert admin_client.get(link).content.decode().count("row-link") == 1


def test_unpriced_requests_are_told_and_counted_nowhere_as_free(admin_client, customer):
    customer.call(cost="2")
    customer.call(cost=None, model_asked="acme-private-7b")
    page = text_of(admin_client.get("/spend"))
    assert "1 unpriced (85 tokens, 30 days)" in page
    assert "unpriced tokens count as $0" in page
    assert figure(admin_client.get("/spend")) == 2


def test_errors(admin_client, customer):
    customer.call()
    customer.call(status=Status.ERROR, http_status=500, units={}, cost="0")
    page = text_of(admin_client.get("/spend"))
    assert "Error rate 50% 1 of 2 requests" in page


def test_another_tenant_s_spend_is_never_shown(admin_client, customer):
    customer.call(cost="1")
    customer.count([customer.event(tenant="t_stranger01", cost="1000")])
    assert figure(admin_client.get("/spend")) == 1


def test_a_group_whose_calls_are_all_unpriced_is_not_shown_as_free(admin_client, customer):
    customer.call(model_asked="gpt-4o-mini", cost="0.5")
    customer.call(model_asked="acme-7b", cost=None)
    customer.call(model_asked="free-1b", model_priced="free-1b", cost="0")
    page = admin_client.get("/spend?group=model")
    table = re.search(r'id="groups-table">(.*?)</table>', page.content.decode(), re.S)[1]
    spend = {
        re.search(r'row-link"[^>]*>([^<]+)<', row)[1]: re.search(r'data-label="Spend"><span[^>]*>([^<]+)<', row)[1]
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)[1:]
    }
    assert spend == {"gpt-4o-mini": "$0.50", "acme-7b": "unpriced", "free-1b": "$0.00"}
    assert figure(page) == Decimal("0.5")


# -- live ------------------------------------------------------------------------------------------------------------


def refresh_address(page) -> str:
    return html.unescape(re.search(r'id="spend-data"[^>]*hx-get="([^"]+)"', page.content.decode())[1])


def test_the_page_is_told_when_something_changed_and_only_then(admin_client, customer, monkeypatch):
    customer.call(cost="1")
    unchanged = freshness(customer.tenant.id)
    monkeypatch.setattr("spend.views.overview.freshness", lambda tenant_id, keys: unchanged)
    address = refresh_address(admin_client.get("/spend?view=table"))
    assert admin_client.get(address).status_code == 204
    monkeypatch.undo()

    customer.call(cost="0.5")
    changed = admin_client.get(address)
    assert changed.status_code == 200
    assert figure(changed) == Decimal("1.5")
    assert 'id="spend-table"' in changed.content.decode()
    assert 'id="freshness" hx-swap-oob="true"' in changed.content.decode()
    assert refresh_address(changed) != address
    assert "<html" not in changed.content.decode()


def test_the_page_says_how_many_events_are_set_aside(admin_client, customer, queues):
    customer.call(cost="1")
    assert "set aside" not in text_of(admin_client.get("/spend"))
    queues.send(customer.event(), customer.event())
    queues.usage["dev"].bury(queues.usage["dev"].claim(), "refused")
    assert "2 events set aside" in text_of(admin_client.get("/spend"))


# -- empty states ----------------------------------------------------------------------------------------------------


def test_without_any_call_the_page_says_how_to_make_one(admin_client, customer):
    page = text_of(admin_client.get("/spend"))
    assert "No calls yet" in page
    assert f"curl {settings.GATEWAY_URLS['dev']}/v1/chat/completions" in page
    assert "No data yet" in page


def test_calls_that_are_not_counted_yet_are_on_their_way(admin_client, customer):
    queue = settings.SPENDOPS.open_queue(USAGE, "dev")
    queue.send([encode(customer.event())])
    try:
        assert "Calls are on their way" in text_of(admin_client.get("/spend"))
        assert "Calls are on their way" in text_of(admin_client.get("/requests"))
    finally:
        queue.acknowledge(queue.claim())
        queue.close()


def test_filters_that_leave_nothing(admin_client, customer):
    customer.call(env="dev")
    assert "Nothing matches these filters" in text_of(admin_client.get("/spend?env=prod"))
    assert "No calls in these days" in text_of(admin_client.get("/spend?period=last-month"))


@pytest.mark.parametrize("address", ["/spend", "/spend/data", "/requests", "/requests/rows", "/denials", "/unpriced"])
def test_when_clickhouse_does_not_answer_the_page_says_so(admin_client, customer, settings, address):
    settings.CLICKHOUSE_URL = "clickhouse://127.0.0.1:1/spendops"
    forget_connections()
    answer = admin_client.get(address)
    assert answer.status_code == 503
    assert "Spend data is out of reach" in text_of(answer)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("period=custom", "Give the first and the last day"),
        ("period=custom&first=2026-02-30&last=2026-03-01", "Enter a valid date"),
        ("period=custom&first=2026-03-02&last=2026-03-01", "swap them"),
        ("period=decade", "decade is not one of the available choices"),
        ("group=colour", "colour is not one of the available choices"),
        ("env=moon", "moon is not one of the available choices"),
    ],
)
def test_filters_that_cannot_be_taken_are_named(admin_client, customer, query, says):
    customer.call()
    answer = admin_client.get(f"/spend?{query}")
    assert answer.status_code == 200
    assert says in text_of(answer)


@pytest.fixture
def november(admin_client, clickhouse):
    """A tenant in Kolkata whose sixty days before 20 November are known, with a budget for the month."""
    with time_machine.travel(datetime(2026, 11, 20, 6, tzinfo=UTC), tick=True):
        customer = Customer(admin_client.tenant, zone="Asia/Kolkata")
        days = [customer.midnight - timedelta(days=number) + timedelta(hours=3) for number in range(61)]
        charges = ["20" if at.weekday() > 4 else "100.000000000001" for at in days]
        models = ["gpt-5" if number == 3 else "gpt-4o-mini" for number in range(61)]
        customer.count(
            [
                customer.event(at, charge=charge, model_priced=model)
                for at, charge, model in zip(days, charges, models, strict=True)
            ]
        )
        make_forecasts()
        yield customer


def test_a_month_has_a_forecast_and_what_is_drawn_is_in_the_table(admin_client, november):
    page = admin_client.get("/spend")
    spent, text = figure(page), text_of(page)
    assert "Forecast, 30 Nov 2026" in text
    assert "80% range" in text
    lines = {each["name"]: each for each in chart(page)["data"]}
    forecast = lines["Forecast"]
    assert forecast["x"] == [f"2026-11-{day}" for day in range(21, 31)]
    assert spent == sum(Decimal(value) for name in ("gpt-4o-mini", "gpt-5") for value in lines[name]["y"])
    table = text_of(admin_client.get("/spend?view=table"))
    for day, value in zip(forecast["x"], forecast["y"], strict=True):
        assert f"{int(day[-2:])} Nov 2026 (forecast) {usd_exact(Decimal(value))}" in table
    cumulative = {each["name"]: each for each in chart(admin_client.get("/spend?view=cumulative"))["data"]}
    low, mid, high = (Decimal(cumulative[name]["y"][-1]) for name in ("80 % range, from", "Forecast", "80 % range, to"))
    assert spent < low <= mid <= high
    assert usd(mid) in text
    assert "Forecast" not in text_of(admin_client.get("/spend?env=prod"))
    assert "Forecast" not in text_of(admin_client.get("/spend?period=30d"))


def test_a_budget_draws_its_pace_and_says_what_is_left(admin_client, november):
    with tenant_scope(november.tenant.id):
        budget = make_budget(november.tenant, amount="5000", now=None)
    page = admin_client.get("/spend")
    left = re.search(r'id="budget-left">.*?>([^<]+)</a>', page.content.decode(), re.S)[1]
    assert left == usd(Decimal(5000) - figure(page))
    pace = next(each for each in chart(page)["data"] if each["name"] == "Budget pace")
    assert sum(map(Decimal, pace["y"])) == 5000
    by_day = dict(zip(pace["x"], map(Decimal, pace["y"]), strict=True))
    assert by_day["2026-11-07"] < by_day["2026-11-09"] / 3  # a Saturday and a Monday
    assert f"/budgets/{budget.id}" in page.content.decode()
    assert "Budget left" not in text_of(admin_client.get("/spend?period=7d"))


def test_the_days_before_are_drawn_when_they_are_asked_for(admin_client, november):
    assert "Compared" not in [each["name"] for each in chart(admin_client.get("/spend"))["data"]]
    page = admin_client.get("/spend?compare=before")
    line = next(each for each in chart(page)["data"] if each["name"] == "Compared")
    against = re.search(r"vs (\$[\d,.]+) on", text_of(page))[1]
    assert usd(sum(map(Decimal, line["y"]))) == against
    table = admin_client.get("/spend?compare=before&view=table").content.decode()
    rows = [row for row in re.findall(r"<tr>(.*?)</tr>", table, re.S) if "2026" in row and "(forecast)" not in row]
    shown = [amount(value) for row in rows for value in re.findall(r'<td class="num quiet">(\$[^<]+)</td>', row)]
    assert sorted(shown) == sorted(map(Decimal, line["y"]))


def test_the_biggest_changes_stand_beside(admin_client, november):
    panel = re.search(r'id="movers-heading".*?</section>', admin_client.get("/spend").content.decode(), re.S)[0]
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", panel))
    assert re.search(r"gpt-5 \+ ?\$100\.00", text)
    assert "new" in text


def test_an_open_anomaly_is_told_in_a_line(admin_client, november):
    november.call(november.midnight + timedelta(hours=1), charge="900")
    look_for_anomalies()
    text = text_of(admin_client.get("/spend"))
    assert "Checkout spent 10.0× its usual Friday on gpt-4o-mini, 20 Nov 2026." in text
    with tenant_scope(november.tenant.id):
        settle_anomaly(anomaly=anomalies().get(), verdict="dismissed", by=BY)
    assert "10.0×" not in text_of(admin_client.get("/spend"))


def test_the_figure_is_said_in_the_tenants_currency_with_rate_and_day(admin_client, november):
    Tenant.objects.filter(pk=november.tenant.pk).update(currency="EUR")
    ExchangeRate.objects.create(
        currency="USD", day=date(2026, 11, 19), rate_e8=110_000_000, source="test", seen_at=november.now
    )
    page = admin_client.get("/spend")
    spent = figure(page)
    assert money(round(spent * 10**6 * 100 / 110), "EUR") in text_of(page)
    assert "19 Nov 2026" in text_of(page)
