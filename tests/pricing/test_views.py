"""The pages of prices, as a signed-in person sees them."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from pricing.models import Model
from tests.pricing.catalogues import acme
from tests.pricing.conftest import sync_and_approve

pytestmark = pytest.mark.django_db


def text(response) -> str:
    """What a page says, without its markup."""
    assert response.status_code == 200, response
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


@pytest.mark.parametrize("path", ["/pricing", "/pricing/report", "/pricing/openai/gpt-4o"])
def test_a_stranger_sees_no_prices(db, path):
    response = Client(headers={"accept": "text/html"}).get(path)
    assert (response.status_code, response.url.split("?")[0]) == (302, "/sign-in")


def test_before_the_first_sync_it_says_what_to_do(admin_client):
    page = text(admin_client.get(reverse("pricing:catalogue")))
    assert "No prices yet" in page
    assert "manage.py sync_prices" in page


def test_it_says_where_prices_are_from_and_pages_through_all_of_them(admin_client, synced):
    page = text(admin_client.get("/pricing"))
    assert "Price book 1 from genai-prices" in page
    assert f"{synced.book.rounded_count} rounded" in page
    shown = Model.objects.filter(deprecated=False).count()
    assert f"1 to 50 of {shown:,}" in page
    last = text(admin_client.get(f"/pricing?page={-(-shown // 50)}"))
    assert f"to {shown:,} of {shown:,}" in last
    assert text(admin_client.get("/pricing?page=99999&provider=nobody&q="))


def test_it_finds_by_every_word_and_by_provider(admin_client, synced):
    page = text(admin_client.get("/pricing?q=mini+gpt-4o&provider=openai"))
    assert "gpt-4o-mini " in page
    assert "$0.15" in page
    assert "$0.60" in page
    assert "anthropic/claude" not in admin_client.get("/pricing?q=mini+gpt-4o&provider=openai").content.decode()


def test_tiers_and_other_units_are_shown(admin_client, synced):
    page = text(admin_client.get("/pricing?q=gemini-2.5-pro&provider=google"))
    assert "$1.25 $2.50 above 200K" in page
    assert "web searches" in page
    assert "seconds of audio input $0.36 an hour" in text(admin_client.get("/pricing?q=whisper-1"))
    model = text(admin_client.get("/pricing/google/gemini-2.5-pro"))
    assert "input tokens $2.50 a million tokens 2,500,000 pico-USD a token above 200,000 input tokens" in model
    assert "web searches $35.00 a thousand searches 35,000,000,000 pico-USD a search" in model


def test_deprecated_models_are_shown_when_asked_for(admin_client, synced):
    name = Model.objects.filter(deprecated=True, provider="google").first().model_id
    link = f'href="{reverse("pricing:model", args=["google", name])}"'
    assert link not in admin_client.get(f"/pricing?provider=google&q={name}").content.decode()
    assert link in admin_client.get(f"/pricing?provider=google&q={name}&status=deprecated").content.decode()
    assert f"{name}" in text(admin_client.get(f"/pricing?provider=google&q={name}&status=deprecated"))


def test_nothing_found_is_not_nothing_there(admin_client, synced):
    assert "No model matches" in text(admin_client.get("/pricing?q=no-such-model"))


def test_a_search_takes_few_queries(admin_client, synced, django_assert_max_num_queries):
    with django_assert_max_num_queries(14):
        admin_client.get("/pricing")


def test_a_model_shows_its_prices_exactly_and_how_it_is_found(admin_client, synced):
    answer = admin_client.get("/pricing/openai/gpt-4o-mini")
    page = text(answer)
    assert "input tokens $0.15 a million tokens 150,000 pico-USD a token" in page
    assert "When service tier is priority, from 12 Oct 2026 UTC" in page
    assert re.search(r"Rule \d+ of \d+ The name .*&quot;gpt-4o-mini", page)
    assert "version 1, seen" in page
    assert 'href="https://developers.openai.com/api/docs/pricing"' in answer.content.decode()


def test_a_models_periods_say_when_they_hold(admin_client, synced):
    page = text(admin_client.get("/pricing/deepseek/deepseek-chat"))
    assert "Always" in page
    assert "Daily 00:30 to 16:30 UTC" in page


def test_a_model_id_may_have_slashes_and_colons(admin_client, synced):
    model = Model.objects.filter(model_id__endswith=":free", model_id__contains="/").first()
    url = reverse("pricing:model", args=[model.provider_id, model.model_id])
    assert "$0.00" in text(admin_client.get(url))


def test_an_unknown_model_is_not_found(admin_client, synced):
    assert admin_client.get("/pricing/openai/no-such-model").status_code == 404
    assert admin_client.get("/pricing/nobody/gpt-4o").status_code == 404


def test_history_keeps_old_prices_and_models_that_are_gone(admin_client):
    for given in (acme(20), acme(19, output=700_000)):
        sync_and_approve(given)
    page = text(admin_client.get("/pricing/acme/small"))
    assert "from 2 on" in page
    assert "1 to 1" in page
    assert "input tokens $0.15, output tokens $0.60" in page
    assert "input tokens $0.15, output tokens $0.70" in page
    gone = text(admin_client.get("/pricing/acme/model-19"))
    assert "No longer listed" in gone
    assert "model-19" not in text(admin_client.get("/pricing"))
    assert "model-19 No longer listed" in text(admin_client.get("/pricing?status=gone"))


def test_every_model_has_a_page(admin_client, synced):
    for model in Model.objects.order_by("pk")[::60]:
        url = reverse("pricing:model", args=[model.provider_id, model.model_id])
        assert model.model_id in text(admin_client.get(url)).replace("&amp;", "&")


def test_what_was_rounded_and_not_expressed_is_listed(admin_client, synced):
    page = text(admin_client.get("/pricing/report"))
    assert f"{synced.book.rounded_count} figures rounded" in page
    assert "0.111 USD for 3,600" in page
    assert "at least 10 seconds" in page
