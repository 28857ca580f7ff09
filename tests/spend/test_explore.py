"""Explore: an address is a view; figure, chart, table and API are one set of numbers, in any zone."""

from __future__ import annotations

import html
import json
import random
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.http import QueryDict

from spend.exploring.filters import filters_of, pairs_of, query_string
from spend.exploring.measures import MEASURES
from spend.exploring.view import View, read
from tenants.models import Tenant
from tenants.permissions import Role
from tests.spend.customer import Customer
from tests.spend.events import event_id
from tests.spend.test_pages_requests import text_of
from tests.tenants.company import Company
from wire.events import Denied

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Pacific/Chatham"]
# clocks change in New York on 8 March and 1 November 2026, on the Chatham Islands on 5 April and 27 September
RANGES = [
    (date(2026, 3, 6), date(2026, 3, 10)),
    (date(2026, 4, 3), date(2026, 4, 7)),
    (date(2026, 10, 30), date(2026, 11, 3)),
]
LATER = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = LATER.date()


@pytest.fixture
def customer(admin_client, clickhouse) -> Customer:
    return Customer(admin_client.tenant, zone="Asia/Kolkata")


def asked(query: str) -> tuple[View, list]:
    return read(QueryDict(query), lambda zone: TODAY)


# -- an address is a view ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "by=model&period=month",
        "by=&period=7d",
        "by=project&then=tag:team&period=custom&first=2026-10-01&last=2026-10-31&zone=Pacific/Chatham&each=hour&sort=name",
        "by=key&period=30d&measure=error_rate&compare=previous&chart=table&sort=change&order=asc",
        "by=model&period=month&none=end_user&model=a&model=b&tag:team=search%26ads&not-env=dev&not-none=tier",
    ],
)
def test_an_address_means_a_view_and_the_view_that_address(query):
    view, problems = asked(query)
    assert (problems, view.query()) == ([], query)
    assert asked(view.query(page=3))[0].page == 3


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("by=nonsense", "by"),
        ("period=year", "period"),
        ("period=custom", "first"),
        ("period=custom&first=2026-11-09&last=2026-11-01", "first"),
        ("period=custom&first=soon&last=2026-11-01", "first"),
        ("zone=Mars/Olympus", "zone"),
        ("each=minute", "each"),
        ("each=hour&period=custom&first=2026-01-01&last=2026-03-01", "each"),
        ("measure=happiness", "measure"),
        ("compare=next", "compare"),
        ("chart=pie", "chart"),
        ("sort=colour", "sort"),
        ("order=random", "order"),
        ("page=-1", "page"),
        ("page=²", "page"),
        ("tag:=x", "tag:"),
        ("none=nonsense", "none"),
        ("end_user=" + "x" * 600, "end_user"),
        ("&".join(f"end_user={number}" for number in range(101)), "end_user"),
    ],
)
def test_what_cannot_be_taken_is_named_and_the_usual_stands_in_its_place(query, name):
    view, problems = asked(query)
    assert name in [each.name for each in problems]
    assert all(each.message.endswith(".") for each in problems)
    assert asked(view.query())[1] == []


def test_filters_of_an_address_come_back_in_an_order_of_their_own():
    query = QueryDict("not-none=tier&tag:b=2&tag:a=1&model=x&model=&model=y&none=model")
    only, without = filters_of(query)
    assert only == {"model": ("x", "y", ""), "tag:a": ("1",), "tag:b": ("2",)}
    assert without == {"tier": ("",)}
    assert filters_of(QueryDict(query_string(pairs_of(only, without)))) == (only, without)


# -- equal to the last decimal -----------------------------------------------------------------------------------------


def _events(customer: Customer, first: date, last: date):
    dice = random.Random(f"{first}")
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=1)
    minutes = ((last - first).days + 3) * 1440
    for number in range(160):
        pico = dice.randrange(10**15)
        model = f"model-{dice.randrange(12)}"
        at = begin + timedelta(minutes=dice.randrange(minutes), milliseconds=dice.randrange(60_000))
        yield customer.event(
            at,
            event_id=event_id(int(at.timestamp() * 1000), number),
            cost=f"{pico // 10**12}.{pico % 10**12:012}" if dice.random() < 0.9 else None,
            model_asked=model,
            env=dice.choice(["dev", "prod"]),
            tags={"team": dice.choice(["search", "ads"])} if dice.random() < 0.7 else {},
        )


def amount(text: str) -> Decimal:
    if text == "–":  # nothing of it has a price
        return Decimal(0)
    return Decimal(text.replace("$", "").replace(",", "").replace("−", "-"))


def figure_of(page: str) -> Decimal:
    return amount(html.unescape(re.search(r'id="explore-total" title="([^"]+)"', page)[1]))


def drawn_of(page: str) -> list[dict]:
    block = re.search(r'<script id="explore-figure" type="application/json">(.*?)</script>', page, re.S)[1]
    return json.loads(block)["figure"]["data"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("first", "last"), RANGES)
def test_figure_chart_table_and_api_are_equal_in_every_zone(admin_client, customer, zone, first, last):
    events = list(_events(customer, first, last))
    customer.count(events)
    own = ZoneInfo(zone)
    inside = [each for each in events if first <= datetime.fromtimestamp(each.ts / 1000, own).date() <= last]
    expected = sum((Decimal(each.charge or 0) for each in inside), Decimal(0))
    with time_machine.travel(LATER, tick=True):
        days = f"period=custom&first={first}&last={last}&zone={zone}"
        for each, groupings in (("day", ("model", "tag:team", "")), ("hour", ("model",))):
            for by in groupings:
                query = f"by={by}&{days}&each={each}"
                page = admin_client.get(f"/explore?{query}").content.decode()
                assert figure_of(page) == expected, query
                bars = drawn_of(page)
                assert sum(Decimal(value) for band in bars for value in band["y"] if value) == expected, query
                table = admin_client.get(f"/explore?{query}&chart=table").content.decode()
                assert amount(re.search(r'id="table-total">([^<]+)<', table)[1]) == expected, query
                rows = re.findall(r"<tr><th scope=\"row\" class=\"nowrap\">.*?</tr>", table, re.S)
                cells = [[amount(text) for text in re.findall(r'<td class="num">([^<]+)</td>', row)] for row in rows]
                assert sum(row[0] for row in cells) == expected
                assert all(row[0] == sum(row[1:]) for row in cells)
                assert [len(row) for row in cells] == [len(bars) + 1] * len(bars[0]["y"])
                answer = admin_client.get(f"/api/v1/spend?{query}&limit=1000").json()
                assert Decimal(answer["total"]["charge_usd"]) == expected, query
                assert sum(Decimal(row["charge_usd"]) for row in answer["items"]) == expected, query
                assert answer["total"]["requests"] == len(inside)
                assert answer["next"] is None
        one_by_one = [
            admin_client.get(f"/api/v1/spend?period=custom&first={day}&last={day}&zone={zone}").json()
            for day in (first + timedelta(days=number) for number in range((last - first).days + 1))
        ]
        assert sum(Decimal(each["total"]["charge_usd"]) for each in one_by_one) == expected
        listed = admin_client.get(f"/api/v1/usage?{days}&limit=200").json()["items"]
        assert {each["event_id"] for each in listed} == {each.event_id for each in inside}
        assert sum(Decimal(each["charge_usd"] or 0) for each in listed) == expected


def test_the_hour_that_comes_twice_is_there_twice(admin_client, customer):
    at = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # 01:30 in New York, and an hour later once more
    customer.count([customer.event(at), customer.event(at + timedelta(hours=1))])
    with time_machine.travel(LATER, tick=True):
        query = "by=&period=custom&first=2026-11-01&last=2026-11-01&zone=America/New_York&each=hour"
        (bars,) = drawn_of(admin_client.get(f"/explore?{query}").content.decode())
    assert (len(bars["x"]), len(set(bars["x"]))) == (25, 25)
    used = [name for name, value in zip(bars["x"], bars["y"], strict=True) if Decimal(value)]
    assert used == ["1 Nov 2026 01:00 EDT", "1 Nov 2026 01:00 EST"]


# -- what the page says ------------------------------------------------------------------------------------------------


def groups_of(response) -> list[str]:
    table = re.search(r'id="explore-groups">.*?<tbody>(.*?)</tbody>', response.content.decode(), re.S)[1]
    return [text.strip() for text in re.findall(r'<th scope="row">.*?</span>(?:<a[^>]*>)?([^<]+)<', table, re.S)]


def test_groups_are_named_sorted_and_lead_on(admin_client, customer):
    other = customer.new_key("batch", customer.new_project("Batch"), env="prod")
    customer.call(cost="2")
    customer.count([customer.event(key=other.id, project=other.project_id, cost="1", env="prod") for _ in range(3)])
    page = admin_client.get("/explore?by=project&period=7d")
    assert groups_of(page) == ["Batch", "Checkout"]
    assert groups_of(admin_client.get("/explore?by=project&period=7d&sort=charge&order=asc")) == ["Checkout", "Batch"]
    assert groups_of(admin_client.get("/explore?by=key&period=7d&sort=name&order=asc")) == ["batch", "checkout-web"]
    shown = html.unescape(page.content.decode())
    requests = re.search(r'href="(/requests\?[^"]+)" aria-label="Requests of Batch"', shown)[1]
    assert text_of(admin_client.get(requests)).count("batch") >= 3
    assert "checkout-web" not in re.search(r"<tbody>.*</tbody>", admin_client.get(requests).content.decode(), re.S)[0]
    assert 'href="/denials?period=custom' in shown
    narrowed = re.search(r'class="row-link" href="(/explore\?[^"]+)">Batch<', shown)[1]
    assert groups_of(admin_client.get(narrowed)) == ["Batch"]


def test_a_pivot_has_a_column_for_each_value_and_one_for_the_others(admin_client, customer):
    customer.count(
        [
            customer.event(model_asked=f"m{number}", model_priced=f"m{number}", cost=str(number + 1), env=env)
            for number in range(10)
            for env in ("dev", "prod")
        ]
    )
    page = admin_client.get("/explore?by=env&then=model&period=7d").content.decode()
    heads = re.findall(r'<th scope="col" class="num">([^<]+)</th>', page)
    assert heads == ["m9", "m8", "m7", "m6", "m5", "m4", "m3", "All others"]
    assert "$12.00" in page  # 2 × (1 + 2 + 3), the total of the others


def test_compared_days_have_columns_a_line_and_movers(admin_client, customer):
    today = customer.midnight + timedelta(minutes=1)
    customer.count(
        [
            customer.event(today - timedelta(days=2), cost="3"),
            customer.event(today - timedelta(days=8), cost="1"),
            customer.event(today, cost="50"),  # still open: compared with nothing
        ]
    )
    page = admin_client.get("/explore?by=project&period=7d&compare=previous")
    text = text_of(page)
    assert "▲ up 200% vs $1.00" in text
    assert "Checkout up +$2.00" in text
    assert "$1.00 → $3.00, +200%" in text
    *_, line = drawn_of(page.content.decode())
    assert (line["type"], line["line"]["dash"]) == ("scatter", "dash")
    assert sum(Decimal(value) for value in line["y"]) == 1


@pytest.mark.parametrize("measure", list(MEASURES))
@pytest.mark.parametrize("drawn", ["bars", "lines", "table"])
def test_every_measure_can_be_shown_in_every_way(admin_client, customer, measure, drawn):
    customer.count([customer.event(), customer.event(cost=None, model_asked="acme-7b")])
    page = admin_client.get(f"/explore?by=model&then=env&period=7d&measure={measure}&chart={drawn}&compare=previous")
    assert page.status_code == 200
    assert MEASURES[measure].label in text_of(page)


def test_a_filter_is_added_by_name_and_the_address_has_its_id(admin_client, customer):
    added = admin_client.get("/explore?by=model&period=7d&add=key&how=not&value=checkout-web")
    assert (added.status_code, added.url) == (302, f"/explore?by=model&period=7d&not-key={customer.key.id}")
    assert "API key is not checkout-web" in text_of(admin_client.get(added.url))
    assert (
        admin_client.get("/explore?by=model&add=tag:team&how=is&value=").url
        == "/explore?by=model&period=month&none=tag:team"
    )
    wrong = admin_client.get("/explore?by=model&add=key&how=is&value=nobodys", follow=True)
    assert "There is no such key" in text_of(wrong)
    assert admin_client.get("/explore?add=nonsense&value=x").url == "/explore?by=model&period=month"


def test_values_are_offered_that_were_used(admin_client, customer):
    customer.call(tags={"team": "search"})
    offered = admin_client.get("/explore/values?period=7d&add=key").content.decode()
    assert f'<option value="{customer.key.id}">checkout-web</option>' in offered
    assert '<option value="search">' in admin_client.get("/explore/values?period=7d&add=tag:team").content.decode()
    assert "<option" not in admin_client.get("/explore/values?add=nonsense").content.decode()
    assert '<option value="tag:team">Tag “team”</option>' in admin_client.get("/explore?period=7d").content.decode()


def test_empty_pages_say_which_empty_it_is(admin_client, customer):
    assert "No calls yet" in text_of(admin_client.get("/explore"))
    customer.call(customer.now - timedelta(days=40))
    assert "No calls in these days" in text_of(admin_client.get("/explore?period=7d"))
    assert "Nothing matches these filters" in text_of(admin_client.get("/explore?period=7d&env=none"))


def test_rows_come_page_by_page(admin_client, customer):
    customer.count([customer.event(end_user=f"user-{number:03}", cost="1") for number in range(60)])
    page = admin_client.get("/explore?by=end_user&period=7d")
    assert len(groups_of(page)) == 50
    following = html.unescape(re.search(r'href="([^"]+)" rel="next"', page.content.decode())[1])
    second = admin_client.get(following)
    assert set(groups_of(page)) | set(groups_of(second)) == {f"user-{number:03}" for number in range(60)}


def test_how_calls_went(admin_client, customer):
    customer.count([customer.event(duration_ms=1240, ttfb_ms=300), customer.event(duration_ms=1240, ttfb_ms=300)])
    text = text_of(admin_client.get("/explore/ratios?period=7d"))
    assert "Duration 1.24 s" in text
    assert "First byte 300 ms" in text
    assert "0 of 2 calls" in text


def test_pages_that_are_off_say_so_at_once(admin_client, customer, settings):
    settings.SPEND_PAGES = False
    page = admin_client.get("/explore")
    assert (page.status_code, "Spend data is out of reach" in page.content.decode()) == (503, True)
    assert admin_client.get("/api/v1/spend").status_code == 503


# -- the API -----------------------------------------------------------------------------------------------------------


def test_the_api_compares_pages_and_sorts(admin_client, customer):
    today = customer.midnight + timedelta(minutes=1)
    for number in range(5):
        model = {"model_asked": f"m{number}", "model_priced": f"m{number}"}
        customer.call(today - timedelta(days=2), cost=str(number + 1), **model)
        customer.call(today - timedelta(days=9), cost="1", **model)
    address = "/api/v1/spend?by=model&period=7d&compare=previous&sort=charge&limit=2"
    first = admin_client.get(address).json()
    assert [row["groups"]["model"] for row in first["items"]] == ["m4", "m3"]
    assert first["items"][0]["before"]["charge_usd"] == "1.000000000000"
    assert first["compared"]["before"]["charge_usd"] == "5.000000000000"
    assert (first["total"]["charge_usd"], first["zone"]) == ("15.000000000000", "Asia/Kolkata")
    assert first["complete_until"]
    second = admin_client.get(f"{address}&cursor={first['next']}").json()
    third = admin_client.get(f"{address}&cursor={second['next']}").json()
    assert [row["groups"]["model"] for row in second["items"] + third["items"]] == ["m2", "m1", "m0"]
    assert third["next"] is None
    moved = admin_client.get("/api/v1/spend/movers?by=model&period=7d&limit=1").json()
    assert [(row["groups"], row["change_usd"], row["kind"]) for row in moved["items"]] == [
        ({"model": "m4"}, "4.000000000000", "up")
    ]


def test_usage_and_denials_page_by_page(admin_client, customer):
    events = [customer.event(customer.now - timedelta(seconds=number), end_user="ann") for number in range(5)]
    customer.count([*events, customer.event(end_user="bob")])
    refused = [
        customer.refuse(customer.now - timedelta(seconds=number), reason=Denied.RATE_LIMITED) for number in range(3)
    ]
    for address, ids in (
        ("/api/v1/usage?period=7d&end_user=ann&limit=2", [each.event_id for each in events]),
        ("/api/v1/denials?period=7d&limit=2", [each.event_id for each in refused]),
    ):
        found, cursor = [], ""
        while cursor is not None:
            answer = admin_client.get(f"{address}&cursor={cursor}").json()
            found += [each["event_id"] for each in answer["items"]]
            cursor = answer["next"]
        assert found == ids
    one = admin_client.get(f"/api/v1/usage/{events[0].event_id}").json()
    assert (one["charge_usd"], one["project_id"], one["units"]) == (
        "0.000041550000",
        customer.project.id,
        {"input": 21, "output": 64},
    )


@pytest.mark.parametrize(
    "address",
    [
        "spend?by=nonsense",
        "spend?nonsense=1",
        "spend?period=custom",
        "spend?zone=Mars/Olympus",
        "spend?each=minute",
        "spend?cursor=x",
        "spend?limit=0",
        "spend?by=model&by=env&by=key&by=project&by=status&by=tier&by=provider",
        "spend/movers?period=custom&first=2999-01-01&last=2999-01-01",
        "usage?tag:=x",
        "usage?by=model",
        "usage?cursor=x",
        "denials?reason=bad_mood",
        "denials?model=gpt-5",
        "denials?not-env=dev",
        "denials?zone=UTC",
    ],
)
def test_the_api_refuses_what_it_cannot_take(admin_client, customer, address):
    answer = admin_client.get(f"/api/v1/{address}")
    assert answer.status_code == 422
    assert answer.json()["detail"]


# -- walls -------------------------------------------------------------------------------------------------------------


def test_no_parameter_shows_a_stranger_s_usage(admin_client, customer):
    """A tenant's ids and values in every parameter of another one give nothing, and look like what is not there."""
    theirs = Tenant.objects.create(id="t_stranger01", name="Strangers")
    event = customer.event(
        tenant=theirs.id,
        key="k_stranger0001",
        project="p_stranger0001",
        end_user="their user",
        tags={"team": "their team"},
        model_asked="their-model",
        session="their session",
        cost="77",
    )
    customer.count([event])
    customer.refuse(tenant=theirs.id, key="k_stranger0001", project="p_stranger0001", reason=Denied.RATE_LIMITED)
    customer.call(cost="1")
    for parameter in (
        "key=k_stranger0001",
        "project=p_stranger0001",
        "end_user=their+user",
        "tag:team=their+team",
        "model=their-model",
        "session=their+session",
        "tenant_id=t_stranger01",
        "tenant=t_stranger01",
    ):
        for address in (
            "explore",
            "explore/data",
            "explore/ratios",
            "explore/values",
            "requests",
            "denials",
            "requests/rows",
        ):
            page = admin_client.get(f"/{address}?period=7d&{parameter}")
            body = page.content.decode()
            assert "$77" not in body, (address, parameter)
            assert event.event_id not in body, (address, parameter)
        for operation in ("spend?by=key&", "usage?", "denials?", "spend/movers?by=key&"):
            answer = admin_client.get(f"/api/v1/{operation}period=7d&{parameter}")
            assert answer.status_code in (200, 422)
            assert answer.status_code == 422 or answer.json()["items"] == [], (operation, parameter)
    assert admin_client.get(f"/api/v1/usage/{event.event_id}").status_code == 404
    for dimension in ("key", "project", "end_user", "model", "tag:team"):
        offered = admin_client.get(f"/explore/values?period=7d&add={dimension}").content.decode()
        assert "their" not in offered
        assert "stranger" not in offered


def test_a_developer_sees_only_the_usage_of_own_keys(clickhouse, db):
    company = Company()
    developer = company.person(Role.DEVELOPER)
    own = company.ids["key_id"]
    customer = Customer(company.tenant)
    known = {"tenant": company.tenant.id, "project": company.ids["project_id"]}
    customer.count(
        [
            customer.event(key=own, cost="3", tags={"team": "mine"}, **known),
            customer.event(cost="40", end_user="somebody else", tags={"secret": "x"}),
        ]
    )
    everybody = company.person(Role.FINANCE_VIEWER)
    assert figure_of(everybody.get("/explore?period=7d").content.decode()) == 43
    for query in (
        "",
        "&by=key",
        "&by=key&compare=previous",
        "&by=tag:team&chart=table",
        "&by=project&then=key",
        "&zone=Asia/Tokyo",
    ):
        page = developer.get(f"/explore?period=7d{query}")
        assert figure_of(page.content.decode()) == 3, query
        assert "checkout-web" not in page.content.decode()
        assert "secret" not in page.content.decode()
    others = f"key={customer.key.id}"
    assert "Nothing matches" in text_of(developer.get(f"/explore?by=key&period=7d&{others}"))
    assert developer.get(f"/api/v1/spend?period=7d&{others}").json()["items"] == []
    assert developer.get("/api/v1/spend?period=7d").json()["total"]["charge_usd"] == "3.000000000000"
    assert len(developer.get("/api/v1/usage?period=7d").json()["items"]) == 1
    assert "somebody else" not in developer.get("/explore/values?period=7d&add=end_user").content.decode()
    assert "1 of 1" not in text_of(developer.get(f"/explore/ratios?period=7d&{others}"))
