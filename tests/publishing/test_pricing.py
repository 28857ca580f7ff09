"""Prices: the blob is in the store before the version that names it."""

from __future__ import annotations

import msgspec
import pytest
from django.core.management import call_command
from django.db import transaction

from changes.record import Publish, Topic, record
from pricing.queries import current_version
from publishing.models import KvEntry, PublisherLease
from tests.publishing.faults import Faulty, raising
from tests.tenants.making import SOMEBODY
from wire.prices import PriceBook, PricingBlob, PricingVersion


@pytest.fixture
def prices(db) -> None:
    call_command("sync_prices", "--json")


def held(stores, env: str, key: str, form: type):
    body = stores.reader(env).get(key)
    return body and msgspec.json.decode(body, type=form)


def test_the_whole_book_is_published_into_every_environment(stores, publisher, prices):
    publisher.once()
    for env in ("dev", "prod"):
        blob = held(stores, env, "pricing:blob", PricingBlob)
        version = held(stores, env, "pricing:version", PricingVersion)
        assert (blob.env, version.env) == (env, env)
        assert blob.version == version.version == current_version()
        match = PriceBook(blob).find("openai", "gpt-4o-mini")
        assert match is not None


def test_the_version_waits_until_its_blob_is_there(stores, publisher, prices, monkeypatch):
    faults = Faulty()
    stores.opening = faults.around
    faults.before = raising(ConnectionError("away"))
    publisher.once()
    assert stores.reader("dev").get("pricing:version") is None
    entry = KvEntry.objects.get(env="dev", key="pricing:version")
    assert entry.attempts == 0, "it was not even tried"
    PublisherLease.objects.update(paused_until=None)
    publisher.once()
    keys = [[each.key for each in writes] for writes in faults.written]
    dev = [key for writes in keys[-2:] for key in writes]
    assert dev.index("pricing:blob") < dev.index("pricing:version")
    assert stores.reader("dev").get("pricing:version") is not None


def test_the_same_book_again_writes_nothing(stores, publisher, prices):
    publisher.once()
    with transaction.atomic():
        again = [Publish(Topic.PRICING, "blob")]
        record("test.again", by=SOMEBODY, tenant="", target_kind="x", target_id="x", publish=again)
    assert publisher.once().published == 0
