"""The document that gateways read: always the same bytes, small, and whole."""

from __future__ import annotations

import gzip
import json

import msgspec
import pytest

from pricing.actions.sync import sync_prices
from pricing.models import ModelPrice
from pricing.render import NoPricesError, pricing_blob
from pricing.sources.base import Catalogue
from tests.pricing.catalogues import acme
from tests.pricing.conftest import SYNC, Given, sync_and_approve
from wire import documents
from wire.money import MAX_JSON_INTEGER
from wire.prices import PriceBook, PricingBlob

pytestmark = pytest.mark.django_db


def test_the_blob_is_what_the_source_said(synced, catalogue: Catalogue):
    blob = pricing_blob(env="prod", rev=12)
    assert (blob.schema, blob.env, blob.rev, blob.version) == (documents.SCHEMA, "prod", 12, 1)
    assert blob.source == f"genai-prices {catalogue.source_version}"
    assert blob.order == tuple(provider.id for provider in catalogue.providers)
    assert blob.providers == {provider.id: provider.rules for provider in catalogue.providers}
    assert blob.models == {
        provider.id: {model.id: model.prices for model in provider.models} for provider in catalogue.providers
    }


def test_the_blob_has_the_same_bytes_whenever_it_is_rendered(synced):
    first = documents.encode(pricing_blob(env="dev", rev=1))
    # an SQL engine may give the names of a JSON object in any order
    for row in ModelPrice.objects.filter(model__provider="anthropic"):
        turned = {name: row.prices[name] for name in reversed(row.prices)}
        turned["periods"] = [dict(reversed(period.items())) for period in turned["periods"]]
        ModelPrice.objects.filter(pk=row.pk).update(prices=turned)
    assert documents.encode(pricing_blob(env="dev", rev=1)) == first


def test_the_blob_is_read_again_as_it_was_and_is_small(synced):
    blob = pricing_blob(env="dev", rev=1)
    sent = documents.encode(blob)
    assert msgspec.json.decode(sent, type=PricingBlob) == blob
    assert len(PriceBook(blob)) == synced.book.model_count
    assert len(sent) < 700_000
    assert len(gzip.compress(sent)) < 100_000


def test_no_integer_loses_digits_in_javascript(synced):
    def integers(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                yield from integers(each)
        elif isinstance(value, int):
            yield value

    largest = max(integers(json.loads(documents.encode(pricing_blob(env="dev", rev=1)))))
    assert 10**9 < largest <= MAX_JSON_INTEGER


def test_an_old_version_is_rendered_as_it_was():
    sync_prices(Given(acme()), by=SYNC)
    old = documents.encode(pricing_blob(env="dev", rev=1))
    sync_and_approve(acme(19, output=1))
    assert documents.encode(pricing_blob(env="dev", rev=1, version=1)) == old
    now = pricing_blob(env="dev", rev=2)
    assert (now.version, len(now.models["acme"])) == (2, 19)


def test_before_the_first_sync_there_is_nothing_to_publish():
    with pytest.raises(NoPricesError, match=r"no price book yet: run manage\.py sync_prices"):
        pricing_blob(env="dev", rev=1)
    sync_prices(Given(acme()), by=SYNC)
    with pytest.raises(NoPricesError, match="no price book 9"):
        pricing_blob(env="dev", rev=1, version=9)
