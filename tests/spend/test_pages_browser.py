"""Every page of the sidebar in Chromium: both themes, wide and narrow, without a complaint; and the chart that moves.

With SPENDOPS_TEST_SCREENSHOTS=FOLDER the walk leaves its pictures there (`python -m tests.screenshots FOLDER`).
"""

from __future__ import annotations

import gzip
from datetime import timedelta
from itertools import pairwise

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from budgets.actions import Settings, create_budget
from budgets.evaluator import evaluate
from changes.actor import Actor
from pricing.actions.sync import sync_prices
from pricing.render import pricing_blob
from pricing.sources.genai_prices import GenaiPrices
from spend.anomalies.run import look_for_anomalies
from spend.forecasts.run import make_forecasts
from spend.ingest import store_denials
from spend.models import Anomaly
from spendops.context import NAVIGATION
from spendops.ring.believable import denials, usage
from tenants.models import Tenant
from tenants.scope import across_tenants
from tests.chromium import Window
from tests.looking import PHONE, look_around, settled
from tests.spend.customer import Customer
from wire.events import UsageEvent
from wire.prices import PriceBook

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

COSTLY = {"model_asked": "gpt-4o", "model_priced": "gpt-4o", "cost": "7.25"}
BARS = "#spend-chart .barlayer .trace.bars"


@pytest.fixture
def customer(admin_window, clickhouse) -> Customer:
    Tenant.objects.update(name="Example Corp")
    return Customer(Tenant.objects.get(), zone="Asia/Kolkata")


@pytest.fixture
def some_usage(customer) -> Customer:
    """60 days on which every key was used once; prices, budgets and forecasts are not there: they cost seconds."""
    callers = customer.believable_callers()
    customer.count(
        [
            customer.event(
                customer.now - timedelta(days=day, minutes=number),
                project=caller.project,
                key=caller.key,
                env=caller.env,
                provider=caller.provider,
                model_asked=caller.model,
                model_priced=caller.model,
                cost=f"{number + 1}.25",
            )
            for day in range(60)
            for number, caller in enumerate(callers)
        ]
    )
    return customer


@pytest.fixture
def usage_of_weeks(customer) -> list[UsageEvent]:
    """51 days of believable calls by real prices, some refusals, and two budgets."""
    by = Actor.system("tests")
    sync_prices(GenaiPrices(), by=by)
    book = PriceBook(pricing_blob(env="dev", rev=1))
    callers = customer.believable_callers()
    events = usage(callers, book, until=customer.now, days=51)
    customer.count(events)
    runaway = next(event for event in reversed(events) if event.model_priced == "gpt-4o")
    day_before = customer.midnight - timedelta(hours=9)
    customer.call(day_before, **{name: getattr(runaway, name) for name in ("project", "key", "provider")}, **COSTLY)
    store_denials(denials(callers, until=customer.now, number=24))
    for name, amount in (("Everything", "45"), ("Small print", "20")):
        create_budget(tenant=customer.tenant, wanted=Settings(name=name, amount=amount), by=by)
    evaluate()
    make_forecasts()
    look_for_anomalies()
    return events


def addresses(events: list[UsageEvent]) -> dict[str, str]:
    """The sidebar's pages by name, and those below them that this package owns."""
    pages = {label.lower().replace(" ", "-"): reverse(name) for label, name, _ in NAVIGATION}
    with across_tenants("the only tenant"):
        anomaly = Anomaly.objects.get()
    priced = next(event for event in reversed(events) if event.cost and event.units)
    return pages | {
        "anomaly": reverse("spend:anomaly", args=[anomaly.pk]),
        "spend-table": "/spend?view=table",
        "spend-compared": "/spend?compare=before&group=project",
        "spend-cumulative": "/spend?view=cumulative&group=project",
        "request": f"/requests/{priced.event_id}",
        "unpriced": "/unpriced",
        "unpriced-own": "/unpriced?of=tenant",
        "reratings": "/reratings",
        "rerating-new": "/reratings/new",
        "requests-nothing": "/requests?search=nope",
        "model-used": "/pricing/openai/gpt-4o",
        "compare-own-use": "/pricing/compare?model=openai/gpt-4o&model=openai/gpt-4o-mini",
    }


def test_every_page_without_a_complaint(admin_window: Window, usage_of_weeks):
    def ready(_: str) -> None:
        expect(admin_window.page.get_by_text("Looking at")).to_have_count(0)

    assert look_around(admin_window, addresses(usage_of_weeks), ready=ready) == {}


def test_a_call_moves_the_chart_by_itself(admin_window, customer):
    page = admin_window.page
    page.goto("/spend")
    expect(page.get_by_role("heading", name="No calls yet")).to_be_visible()
    customer.call(cost="1.25")
    total = page.locator("#period-total")
    expect(total).to_have_text("$1.25")
    expect(page.locator(BARS)).to_have_count(1)

    page.get_by_role("link", name="Cumulative").click()
    expect(page.get_by_role("heading", name="Running total by model")).to_be_visible()
    assert page.url.endswith("view=cumulative")
    customer.call(cost="2.00", model_asked="claude-sonnet-4-5", model_priced="claude-sonnet-4-5")
    expect(total).to_have_text("$3.25")
    expect(page.locator(BARS)).to_have_count(2)
    expect(page.get_by_role("heading", name="Running total by model")).to_be_visible()

    page.get_by_role("link", name="claude-sonnet-4-5").click()
    page.locator("#request-rows .row-link").click()
    expect(page.get_by_role("heading", name="How the cost came about")).to_be_visible()
    assert admin_window.complaints == []


def test_the_chart_follows_the_theme_and_the_choice_is_kept(admin_window, some_usage):
    page = admin_window.page
    page.goto("/spend")
    settled(page)
    colour = "document.querySelector('#spend-chart .barlayer .point path').style.fill"
    light = page.evaluate(colour)
    page.get_by_role("button", name="Dark mode").click()
    page.wait_for_function(f"{colour} !== '{light}'")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    settled(page)
    assert page.evaluate(colour) != light
    assert admin_window.complaints == []


def test_a_phone_shows_the_plot_at_once_and_its_labels_apart(admin_window, usage_of_weeks):
    page = admin_window.page
    page.set_viewport_size(PHONE)
    page.goto("/spend")
    settled(page)
    plot = page.locator("#spend-chart .main-svg").first.bounding_box()
    assert plot["y"] + plot["height"] <= PHONE["height"]
    boxes = [each.bounding_box() for each in page.locator("#spend-chart .xaxislayer-above text").all()]
    assert len(boxes) >= 4
    for left, right in pairwise(boxes):
        assert left["x"] + left["width"] < right["x"]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] for box in boxes)

    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Denials").click()
    expect(page.get_by_role("heading", name="Denials")).to_be_visible()
    assert admin_window.complaints == []


def test_filters_are_sent_when_a_choice_changes(admin_window, some_usage):
    page = admin_window.page
    page.goto("/spend")
    page.get_by_label("Group by", exact=True).select_option("project")
    expect(page.get_by_role("heading", name="Daily spend by project")).to_be_visible()
    assert "group=project" in page.url
    page.get_by_label("Period", exact=True).select_option("7d")
    page.wait_for_url("**period=7d**")
    assert "group=project" in page.url
    assert "env=" not in page.url


def test_the_spend_page_loads_within_600_kilobytes(admin_window, usage_of_weeks):
    """Everything that a first visit fetches, compressed as web servers do it."""
    page = admin_window.page
    urls: dict[str, None] = {}
    page.on("response", lambda answer: urls.update({answer.url: None}))
    page.goto("/spend")
    settled(page)
    sizes = {url: len(gzip.compress(admin_window.context.request.get(url).body(), 6)) for url in list(urls)}
    assert any("plotly" in url for url in sizes)
    assert sum(sizes.values()) <= 600_000, sorted(sizes.items(), key=lambda pair: -pair[1])[:5]
