"""A restore that takes long: what SQL says meanwhile counts, and a publisher that is in between is told of."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from publishing import leases
from publishing.backup.making import back_up
from publishing.backup.restoring import restore
from publishing.errors import BackupError
from publishing.expiry import FORGET_REVOKED
from publishing.models import PublisherLease
from publishing.namespace import Namespace
from tenants.actions.keys import revoke_key
from tests.publishing.faults import Faulty
from tests.publishing.places import Place
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document
from wire.kv.base import StoreUnavailableError, Write
from wire.kv.cloudflare import TIMEOUT
from wire.kv.stores import Kind, Store


@pytest.fixture
def key(db):
    return issue(make_tenant()).key


@pytest.fixture
def place(stores, publisher) -> Place:
    return Place(stores.of("dev"))


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("publishing.backup.patience.time.sleep", found.append)
    return found


@pytest.fixture
def faults(stores) -> Faulty:
    found = Faulty()
    stores.opening = found.around
    return found


def end_leases() -> None:
    PublisherLease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def test_a_key_that_is_revoked_while_the_store_wants_a_pause_stays_dead(
    stores, place, publisher, key, faults, slept, tmp_path
):
    publisher.once()
    made = back_up(place.store, folder=tmp_path / "backups")
    publisher.close()
    place.empty()
    written: list[Write] = []

    def pause() -> None:
        end_leases()
        revoke_key(key=key, by=SOMEBODY)
        publisher.once()
        written.extend(each for writes in faults.written for each in writes)
        faults.written.clear()
        raise StoreUnavailableError("too many calls", retry_after=300)

    faults.before = pause
    faults.written.clear()
    done = restore(made.path, place.store, by=SOMEBODY)
    assert slept == [300]
    assert key_document(key.hash) in [each.key for each in written], "the publisher had its turn"
    assert key_document(key.hash) not in [each.key for writes in faults.written for each in writes]
    assert done.outdated == 1
    assert decode_key(place.documents()[key_document(key.hash)].body).status is KeyStatus.REVOKED


def test_a_restore_that_lost_its_lease_for_good_says_so_and_stops(
    stores, place, publisher, key, faults, slept, tmp_path, monkeypatch
):
    publisher.once()
    made = back_up(place.store, folder=tmp_path / "backups")
    place.empty()
    monkeypatch.setattr("publishing.backup.restoring.WAITS_FOR_PUBLISHER", 0.2)

    def pause() -> None:
        end_leases()
        assert leases.acquire(leases.name_of(place.store), "a publisher")
        raise StoreUnavailableError("too many calls", retry_after=300)

    faults.before = pause
    faults.written.clear()
    with pytest.raises(BackupError, match=r"A publisher is writing .* only 0 documents were restored"):
        restore(made.path, place.store, by=SOMEBODY)
    assert faults.written == []


def test_a_revoked_key_that_is_restored_is_forgotten_in_time(stores, place, publisher, key, faults, tmp_path):
    revoke_key(key=key, by=SOMEBODY)
    publisher.once()
    made = back_up(place.store, folder=tmp_path / "backups")
    place.empty()
    faults.written.clear()
    restore(made.path, place.store, by=SOMEBODY)
    ends = {each.key: each.expires for writes in faults.written for each in writes}
    ahead = ends.pop(key_document(key.hash)) - time.time()
    assert FORGET_REVOKED.total_seconds() - 300 < ahead <= FORGET_REVOKED.total_seconds()
    assert set(ends.values()) == {0}


def test_the_lease_of_a_far_store_outlasts_the_calls_of_a_batch():
    """Documents in up to two bulk calls, deletions in another."""
    longest = TIMEOUT.connect + TIMEOUT.write + TIMEOUT.read
    namespace = Namespace(Store(Kind.CLOUDFLARE, "dev", "cloudflare://a/n", "https://127.0.0.1/n", token="token"))
    assert namespace.lease.total_seconds() > 3 * longest
