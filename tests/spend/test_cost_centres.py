"""Cost centres: rules as a view over usage, shared costs to the last pico-USD, and who may change them."""

from __future__ import annotations

import html
import json
import random
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changes.models import AuditEvent
from spend.cost_centres.dimension import as_if, expression
from spend.cost_centres.rules import UNALLOCATED, WHOLE, Book, Centre, Rule, cleaned, settled
from spend.queries.slices import Each, Slice, cells
from tenants.errors import InvalidSettingError
from tests.spend.conftest import count, tenant
from tests.spend.customer import Customer
from tests.spend.events import NOON, TENANT, usage
from tests.spend.test_pages_reratings import text_of

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 5)
names = st.sampled_from(["Checkout", "Search", "Ads", "Data"])


def rule(centre: str, **when: str) -> Rule:
    return Rule(centre, {name.replace("tag_", "tag:"): tuple(value.split("|")) for name, value in when.items()})


OF_DAYS = Book(rules=(rule("Search", model="gpt-5*", env="prod"), rule("Ads", key="k_app"), rule("Search", model="o3")))
OF_EVENTS = Book(rules=(rule("Search", tag_team="search|seo"), *OF_DAYS.rules, rule("Bob", end_user="bob")))


def centre_of(event, book: Book) -> str:
    """The rules in plain words."""
    for each in book.rules:
        known = {"model": event.model_priced, "env": event.env, "key": event.key, "end_user": event.end_user}
        known |= {f"tag:{name}": value for name, value in event.tags.items()}
        if all(
            any(
                known.get(name, "").startswith(value[:-1]) if value.endswith("*") else known.get(name, "") == value
                for value in values
            )
            for name, values in each.when.items()
        ):
            return each.centre
    return UNALLOCATED


@pytest.mark.usefixtures("queues", "clickhouse")
@pytest.mark.parametrize(("name", "value"), [("end_user", "{:0380}"), ("model", "{:04}*"), ("tag:team", "{:04}'*")])
def test_as_many_rules_as_can_be_kept_can_be_asked_for(name, value):
    """A statement of ClickHouse's is 256 KB at most, and may hold the rules several times."""
    tenant(TENANT)
    count([usage(1)])
    number, book, refused = 100, Book(), ""
    while not refused:
        try:
            book = cleaned(Book(rules=(*book.rules, Rule("Search", {name: tuple(map(value.format, range(number)))}))))
        except InvalidSettingError as error:
            refused = str(error)
    of = Slice(NOON.date(), NOON.date(), only={"cost_centre": [UNALLOCATED]}, without={"cost_centre": ["Search"]})
    with as_if(TENANT, book):
        assert [cell.groups for cell in cells(TENANT, of, by=["cost_centre"], kept=[UNALLOCATED])] == [(UNALLOCATED,)]
    assert "too long" in refused


@pytest.mark.usefixtures("queues", "clickhouse")
@pytest.mark.parametrize("book", [Book(), OF_DAYS, OF_EVENTS], ids=["none", "days", "events"])
def test_the_dimension_gives_each_call_to_the_first_rule_that_matches(book):
    tenant(TENANT, "Asia/Kolkata")
    dice, events = random.Random(7), []
    for number in range(120):
        model, pico = dice.choice(["gpt-5", "gpt-5-mini", "o3", "other"]), dice.randrange(10**12)
        events.append(
            usage(
                number,
                datetime(2026, 10, 1, tzinfo=UTC) + timedelta(minutes=dice.randrange(5 * 1440 - 400)),
                model_asked=model,
                model_priced=model,
                env=dice.choice(["dev", "prod"]),
                key=dice.choice(["k_web", "k_app"]),
                end_user=dice.choice(["", "bob"]),
                tags=dice.choice([{}, {"team": "search"}, {"team": "seo"}, {"team": "ads"}]),
                charge=f"0.{pico:012}",
            )
        )
    count(events)
    expected: dict[str, Decimal] = {}
    for event in events:
        name = centre_of(event, book)
        expected[name] = expected.get(name, Decimal()) + Decimal(event.charge)
    with as_if(TENANT, book):
        found = {cell.groups[0]: cell.charge for cell in cells(TENANT, Slice(FIRST, LAST), by=["cost_centre"])}
        by_events = cells(TENANT, Slice(FIRST, LAST), by=["cost_centre", "kind"])
        days = cells(TENANT, Slice(FIRST, LAST), by=["cost_centre"], each=Each.DAY)
        only = cells(TENANT, Slice(FIRST, LAST, only={"cost_centre": [UNALLOCATED]}))
    assert found == expected
    assert {cell.groups[0]: cell.charge for cell in by_events} == expected
    assert sum(cell.charge for cell in days) == sum(expected.values())
    assert sum((cell.charge for cell in only), Decimal()) == expected[UNALLOCATED]
    assert (expression(book).of_days is None) == (book is OF_EVENTS)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    own=st.dictionaries(
        st.sampled_from(["Checkout", "Search", "Ads", "Platform", "Tools", UNALLOCATED, "Gone"]),
        st.integers(-(10**18), 10**18),
    ),
    splits=st.tuples(st.sampled_from(["equal", "spend", "fixed"]), st.sampled_from(["equal", "spend", "fixed"])),
    first=st.integers(0, WHOLE),
)
def test_shared_costs_come_to_the_whole_to_the_last_pico_usd(own, splits, first):
    shares = {"Checkout": first, "Ads": WHOLE - first}
    book = cleaned(
        Book(
            (
                Centre("Platform", splits[0], shares if splits[0] == "fixed" else {}),
                Centre("Tools", splits[1], shares if splits[1] == "fixed" else {}),
                *map(Centre, ("Checkout", "Search", "Ads")),
            )
        )
    )
    paid = settled(own, book)
    assert sum(each.total for each in paid) == sum(own.values())
    assert {each.centre for each in paid} >= {"Checkout", "Search", "Ads"}
    for name in ("Platform", "Tools"):
        assert sum(each.shared.get(name, 0) for each in paid) == own.get(name, 0)
    equal = [each.shared.get("Platform", 0) for each in paid if each.centre in ("Checkout", "Search", "Ads")]
    if splits[0] == "equal":
        assert max(equal) - min(equal) <= 1


@pytest.mark.parametrize(
    ("book", "why"),
    [
        (Book(rules=(Rule("A", {}),)), "says not which usage"),
        (Book(rules=(rule("", env="dev"),)), "give the cost centre a name"),
        (Book(rules=(rule("unallocated", env="dev"),)), "what no rule takes"),
        (Book(rules=(rule("A", colour="red"),)), "usage has no 'colour'"),
        (Book((Centre("P", "equal"),)), "no cost centre to share it among"),
        (Book((Centre("P", "fixed", {"A": 5_000}), Centre("A"))), "come to 50 %"),
        (Book((Centre("P", "fixed", {"B": WHOLE}), Centre("A"))), "no such cost centre pays"),
        (Book((Centre("P"), Centre("P"))), "same name"),
    ],
)
def test_what_cannot_hold_is_refused_with_the_reason(book, why):
    with pytest.raises(InvalidSettingError, match=re.escape(why)):
        cleaned(book)


@pytest.fixture
def customer(admin_client, clickhouse) -> Customer:
    return Customer(admin_client.tenant, zone="Asia/Kolkata")


def form(rows: list[dict[str, str]], shared: list[dict[str, str]] = (), **more: str) -> dict[str, str]:
    found = {"version": "0", "do": "review"} | more
    for prefix, given_rows in (("rules", rows), ("centres", shared)):
        found |= {f"{prefix}-TOTAL_FORMS": str(len(given_rows)), f"{prefix}-INITIAL_FORMS": "0"}
        for number, row in enumerate(given_rows):
            found |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return found


def test_rules_are_tried_and_then_hold(admin_client, customer):
    other = customer.new_project("Search")
    customer.call(cost="3.000000000000")
    customer.call(cost="1.000000000000", project=other.id)
    customer.call(cost="2.000000000001", tags={"team": "core"})
    assert "No rules yet" in text_of(admin_client.get("/cost-centres"))

    rows = [
        {"centre": "Platform", "tags": "team=core"},
        {"centre": "Search", "project": "Search"},
        {"centre": "Shop", "project": "Checkout"},
    ]
    shared = [{"name": "Platform", "split": "fixed", "shares": "Search 25, Shop 75"}]
    moved = admin_client.post("/cost-centres/edit", form(rows, shared, do="up-1"))
    assert re.findall(r'name="rules-\d-centre" value="(\w+)"', moved.content.decode()) == ["Search", "Platform", "Shop"]
    wrong = admin_client.post("/cost-centres/edit", form([{"centre": "X", "project": "Nope"}]))
    assert wrong.status_code == 422
    assert "there is no Project “Nope”" in text_of(wrong)
    assert 'value="Nope"' in wrong.content.decode()
    long = admin_client.post("/cost-centres/edit", form([{"centre": "X", "model": "a" * 140_000}]))
    assert (long.status_code, "cannot be read" in text_of(long)) == (422, True)

    review = admin_client.post("/cost-centres/edit", form(rows, shared))
    assert "Platform" in text_of(review)
    assert "$1.50" in text_of(review)  # 1 + a quarter of 2.000000000001
    assert "No rules yet" in text_of(admin_client.get("/cost-centres"))
    fields = dict(re.findall(r'type="hidden" name="(version|book)" value="([^"]*)"', review.content.decode()))
    sent = {name: html.unescape(value) for name, value in fields.items()}
    assert admin_client.post("/cost-centres/save", sent).status_code == 403
    saved = admin_client.confirmed_post("/cost-centres/save", sent, follow=True)
    assert "The rules hold now" in text_of(saved)
    assert "Project is Search" in text_of(saved)
    assert AuditEvent.objects.filter(kind="cost_centres.changed").count() == 1
    stale = admin_client.confirmed_post("/cost-centres/save", sent, follow=True)
    assert "Somebody else changed" in text_of(stale)

    outcome = admin_client.get("/api/v1/cost-centres/outcome").json()
    paid = {each["centre"]: each["charge_usd"] for each in outcome["paid"]}
    assert outcome["charge_usd"] == "6.000000000001"
    assert paid == {"Search": "1.500000000000", "Shop": "4.500000000001"}
    held = admin_client.get("/api/v1/cost-centres").json()
    assert (held["version"], [each["centre"] for each in held["rules"]]) == (1, ["Platform", "Search", "Shop"])
    assert 'value="team=core"' in admin_client.get("/cost-centres/edit").content.decode()


def test_editing_on_the_page_keeps_what_the_api_set(admin_client, customer):
    project = customer.new_project("Web, mobile")
    when = {"end_user": ["Doe, John", '"Ann"', "bob"], "tag:owner": ["A, B", "a=b"], "project": [project.id]}
    shares = {"Search, Ads": 2_500, "Nobody yet": 7_500}
    book = {
        "centres": [{"name": "Platform", "split": "fixed", "shares": shares}, {"name": "Nobody yet"}],
        "rules": [{"centre": "Platform", "when": {"env": ["dev"]}}, {"centre": "Search, Ads", "when": when}],
    }
    admin_client.step_up()
    put = {"path": "/api/v1/cost-centres", "content_type": "application/json"}
    assert admin_client.put(**put, data=json.dumps(book | {"version": 0})).status_code == 200
    held = admin_client.get("/api/v1/cost-centres").json()

    edited = admin_client.get("/cost-centres/edit").content.decode()
    tags = [dict(re.findall(r'([a-z-]+)="([^"]*)"', tag)) for tag in re.findall(r"<input [^>]*>", edited)]
    sent = {
        tag["name"]: html.unescape(tag.get("value", ""))
        for tag in tags
        if tag.get("name", "").startswith(("rules", "centres", "version"))
    }
    sent |= {"centres-0-split": "fixed", "rules-0-env": "prod", "do": "review"}
    review = admin_client.post("/cost-centres/edit", sent)
    fields = dict(re.findall(r'type="hidden" name="(version|book)" value="([^"]*)"', review.content.decode()))
    assert fields, text_of(review)
    admin_client.confirmed_post("/cost-centres/save", {name: html.unescape(each) for name, each in fields.items()})
    found = admin_client.get("/api/v1/cost-centres").json()
    assert [each["when"] for each in found["rules"]] == [{"env": ["prod"]}, held["rules"][1]["when"]]
    assert sorted(found["centres"], key=str) == sorted(held["centres"], key=str)


def test_the_api_changes_and_tries(admin_client, customer):
    customer.call(cost="3.000000000000")
    admin_client.step_up()
    book = {"centres": [], "rules": [{"centre": "Dev", "when": {"env": ["dev"]}}]}
    tried = admin_client.send("/api/v1/cost-centres/outcome", book).json()
    assert [(each["centre"], each["own_usd"]) for each in tried["paid"]] == [("Dev", "3.000000000000")]
    put = {"path": "/api/v1/cost-centres", "content_type": "application/json"}
    assert admin_client.put(**put, data=json.dumps(book | {"version": 0})).json()["version"] == 1
    assert admin_client.put(**put, data=json.dumps(book | {"version": 0})).status_code == 409
    bad = {"centres": [], "rules": [{"centre": "Dev", "when": {"colour": ["red"]}}], "version": 1}
    assert admin_client.put(**put, data=json.dumps(bad)).status_code == 422
