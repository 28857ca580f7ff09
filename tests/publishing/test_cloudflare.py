"""Publishing into Cloudflare, through a network and a service that fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from publishing import leases
from publishing.models import KvEntry, PublisherLease
from tenants.actions.keys import revoke_key
from tests.faults.http import CUT_AFTER, CUT_BEFORE, HALF_ANSWER, answering, faulty
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document


@pytest.fixture
def proxy(cloudflare):
    with faulty(cloudflare.url) as found:
        yield found


@pytest.fixture
def store(stores, cloudflare, proxy):
    """Dev's only store, reached through the proxy."""
    found = replace(stores.cloudflare("dev", cloudflare), address=cloudflare.address("dev", through=proxy.url))
    stores.name({"dev": [found]})
    return found


@pytest.fixture
def later(monkeypatch):
    """Moves the clock, also that of the calls that may be made."""
    monkeypatch.setattr("wire.kv.cloudflare._paces", paces := {})
    with time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False) as clock:

        def move(by: timedelta) -> None:
            clock.shift(by)
            paces.clear()

        yield move


def held(cloudflare) -> dict[str, int]:
    """The rev of every document, asked without the proxy."""
    kv = cloudflare.open("dev")
    found = {entry.key: entry.rev for entry in kv.list("").entries if entry.key != "meta:env"}
    kv.close()
    return found


def wanted() -> dict[str, int]:
    return dict(KvEntry.objects.filter(env="dev", body__isnull=False).values_list("key", "rev"))


def test_everything_arrives_whatever_fails_on_the_way(db, stores, store, cloudflare, proxy, later):
    publisher = stores.publisher()
    tenant = make_tenant()
    keys = [issue(tenant).key for _ in range(5)]
    faults = [CUT_BEFORE, answering(500), CUT_AFTER, HALF_ANSWER, answering(502, arrives=True)]
    rounds = 0
    for key in keys:
        revoke_key(key=key, by=SOMEBODY)
        proxy.plan(*faults)
        while proxy.planned or KvEntry.objects.filter(env="dev", published_rev=0).exists():
            publisher.once()
            later(timedelta(seconds=6))
            rounds += 1
            assert rounds < 100
    while publisher.once().published:
        pass
    publisher.close()
    assert held(cloudflare) == wanted()
    kv = cloudflare.open("dev")
    states = {decode_key(kv.get(key_document(key.hash))).status for key in keys}
    kv.close()
    assert states == {KeyStatus.REVOKED}


def test_a_pause_that_cloudflare_asks_for_is_kept_to_its_end(db, stores, store, cloudflare, proxy, later):
    publisher = stores.publisher()
    tenant = make_tenant()
    publisher.once()
    proxy.plan(answering(429, retry_after="300"))
    proxy.seen.clear()
    key = issue(tenant).key
    publisher.once()
    assert len(proxy.seen) == 1
    lease = PublisherLease.objects.get(namespace=leases.name_of(store))
    assert lease.paused_until == timezone.now() + timedelta(seconds=300)
    later(timedelta(seconds=299))
    assert publisher.once().published == 0
    assert len(proxy.seen) == 1
    later(timedelta(seconds=2))
    publisher.once()
    publisher.close()
    assert held(cloudflare) == wanted()
    assert key_document(key.hash) in wanted()


def test_a_namespace_without_anything_to_publish_is_not_looked_at_each_second(db, stores, store, cloudflare, proxy):
    """Its calls are those of all namespaces of the account."""
    publisher = stores.publisher()
    publisher.once()
    looked = len(proxy.seen)
    assert looked
    for _ in range(20):
        publisher.once()
    assert len(proxy.seen) == looked
    key = issue(make_tenant()).key
    publisher.once()
    publisher.close()
    assert held(cloudflare) == wanted()
    assert key_document(key.hash) in wanted()


def test_a_namespace_that_was_empty_is_looked_at_again_before_it_is_taken(db, stores, store, cloudflare):
    publisher = stores.publisher()
    publisher.once()
    kv = cloudflare.open("dev")
    kv.add("meta:env", b'{"schema":1,"env":"prod"}')
    kv.close()
    make_tenant()
    publisher.once()
    publisher.close()
    assert "belongs to prod" in PublisherLease.objects.get(namespace=leases.name_of(store)).error
    assert held(cloudflare) == {}
