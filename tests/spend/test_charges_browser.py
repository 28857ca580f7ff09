"""A call that is charged by an override, in Chromium: wide and narrow, light and dark, without a complaint."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from pricing.actions.overrides import create_override
from pricing.actions.sync import sync_prices
from pricing.override_rules import OverrideSettings
from pricing.sources.genai_prices import GenaiPrices
from tenants.models import Tenant
from tests.looking import look_around
from tests.pricing.conftest import SYNC
from tests.spend.customer import Customer
from tests.tenants.making import SOMEBODY

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


def test_a_charged_call_says_why_in_every_size(admin_window, clickhouse):
    sync_prices(GenaiPrices(), by=SYNC)
    customer = Customer(Tenant.objects.get())
    wanted = OverrideSettings(
        name="Volume discount",
        kind="percent",
        basis_points=-1000,
        starts_at=timezone.now() - timedelta(days=1),
    )
    create_override(tenant=customer.tenant, wanted=wanted, by=SOMEBODY)
    event = customer.call(charge="0.000037395000", override_version=1)

    def ready(_: str) -> None:
        expect(admin_window.page.locator("#charge-sum")).to_contain_text("= 37,395,000 pico-USD")

    assert look_around(admin_window, {"request-charged": f"/requests/{event.event_id}"}, ready=ready) == {}
