"""Every model has an address that leads to it, whatever its provider and it are called."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import resolve, reverse

from pricing.actions.by_hand import add_hand_price
from pricing.sources.genai_prices import GenaiPrices
from tests.pricing.catalogues import acme
from tests.pricing.conftest import SYNC, sync_and_approve
from tests.pricing.test_views import text

PAGES = ("rates", "syncs", "compare", "by-hand", "overrides", "describe", "models", "report", "cross-check")


def leads(provider: str, model: str) -> str:
    """The address of a model, once it is sure that it leads there."""
    address = reverse("pricing:model", args=[provider, model])
    found = resolve(address.replace("%20", " "))
    assert (found.view_name, found.kwargs) == ("pricing:model", {"provider": provider, "model": model}), address
    return address


def test_every_model_of_genai_prices_is_reached_by_its_address():
    names = [(provider.id, model.id) for provider in GenaiPrices().read().providers for model in provider.models]
    assert len(names) > 1_000
    for provider, model in names:
        assert leads(provider, model).startswith(f"/pricing/{provider}/")


@pytest.mark.parametrize("model", ["new", "12", "list/save", "12/change", "gpt-4o", "12/approve", "rates/gpt-4o"])
@pytest.mark.parametrize("provider", PAGES)
def test_a_provider_that_is_called_like_a_page_hides_no_model(provider, model):
    assert leads(provider, model) == f"/pricing/models/{provider}/{model}"
    assert leads(f"{provider}-1", model) == f"/pricing/{provider}-1/{model}"


def test_a_model_of_such_a_provider_is_seen_and_led_to(admin_client):
    sync_and_approve(acme())
    for provider in ("rates", "by-hand"):
        add_hand_price(provider=provider, model="new", prices={"input": 1}, starts=date(2026, 1, 1), by=SYNC)
        address = f"/pricing/models/{provider}/new"
        assert address in admin_client.get(f"/pricing?provider={provider}").content.decode()
        assert f"sold by {provider}" in text(admin_client.get(address)).lower()
    assert "Prices by hand" in text(admin_client.get("/pricing/by-hand"))
