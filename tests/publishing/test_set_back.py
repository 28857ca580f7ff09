"""A Redis that restarts without its last writes, an embedded store that is put back: nobody has to compare first."""

from __future__ import annotations

import shutil

import pytest
from django.utils import timezone

from publishing import leases
from publishing.models import KvEntry, PublisherLease
from tenants.actions.keys import revoke_key
from tests.publishing.faults import Faulty
from tests.redis import redis_server
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document
from wire.kv.base import Standing


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as found:
        yield found


def status_of(stores, key) -> KeyStatus:
    return decode_key(stores.documents("dev", "key:")[key_document(key.hash)].body).status


def test_a_revocation_that_redis_lost_is_sent_again_by_the_next_round(stores, server, publisher):
    stores.name({"dev": [stores.redis("dev", server)]})
    again = stores.publisher()
    key = issue(make_tenant()).key
    again.once()
    with server.client() as client:
        client.save()
    revoke_key(key=key, by=SOMEBODY)
    again.once()
    assert status_of(stores, key) is KeyStatus.REVOKED
    server.stop(kill=True)
    server.start()
    assert status_of(stores, key) is KeyStatus.ACTIVE, "the server lost it"
    again.once()  # finds its connection cut, or the store set back
    PublisherLease.objects.update(paused_until=None)
    again.once()
    assert status_of(stores, key) is KeyStatus.REVOKED
    again.close()


def test_a_publisher_that_starts_later_notices_it_too(db, stores, server):
    stores.name({"dev": [stores.redis("dev", server)]})
    first = stores.publisher()
    key = issue(make_tenant()).key
    first.once()
    with server.client() as client:
        client.save()
    revoke_key(key=key, by=SOMEBODY)
    first.once()
    first.close()
    server.stop(kill=True)
    server.start()
    later = stores.publisher()
    later.once()
    assert status_of(stores, key) is KeyStatus.REVOKED
    later.close()


def test_an_embedded_file_that_was_put_back_is_filled_up(db, stores):
    first = stores.publisher()
    key = issue(make_tenant()).key
    first.once()
    first.close()
    store, copy = stores.folder / "dev" / "embedded.sqlite3", stores.folder / "copy.sqlite3"
    shutil.copy(store, copy)
    revoke_key(key=key, by=SOMEBODY)
    second = stores.publisher()
    second.once()
    second.close()
    shutil.copy(copy, store)
    third = stores.publisher()
    third.once()
    third.close()
    assert status_of(stores, key) is KeyStatus.REVOKED


def test_a_store_that_only_went_on_is_not_sent_everything_again(stores, publisher):
    key = issue(make_tenant()).key
    assert publisher.once().published > 1
    revoke_key(key=key, by=SOMEBODY)
    assert publisher.once().published == 1
    assert publisher.once().published == 0


@pytest.fixture
def faults(stores) -> Faulty:
    found = Faulty()
    stores.opening = found.around
    return found


def until_all_is_sent(*publishers) -> None:
    """As many rounds as a store that fails now and then needs."""
    for _ in range(5):
        PublisherLease.objects.update(paused_until=None)
        KvEntry.objects.update(next_at=timezone.now())
        for publisher in publishers:
            publisher.once()


def test_redis_loses_the_very_batch_that_it_just_acknowledged(stores, server, faults, publisher):
    stores.name({"dev": [stores.redis("dev", server)]})
    here = stores.publisher()
    key = issue(make_tenant()).key
    here.once()
    with server.client() as client:
        client.save()
    revoke_key(key=key, by=SOMEBODY)

    def restart() -> None:
        server.stop(kill=True)
        server.start()

    faults.after = restart
    assert here.once().failed == 1
    assert status_of(stores, key) is KeyStatus.ACTIVE, "the server lost it"
    until_all_is_sent(here)
    assert status_of(stores, key) is KeyStatus.REVOKED
    here.close()


@pytest.mark.parametrize("other_looks", [False, True])
def test_a_file_is_put_back_between_its_answer_and_what_is_made_of_it(stores, faults, publisher, other_looks):
    other = stores.publisher()
    key = issue(make_tenant()).key
    publisher.once()
    publisher.close()
    other.once()
    other.close()
    store, copy = stores.folder / "dev" / "embedded.sqlite3", stores.folder / "copy.sqlite3"
    shutil.copy(store, copy)
    revoke_key(key=key, by=SOMEBODY)

    def put_back() -> None:
        for suffix in ("-wal", "-shm", ""):
            store.with_name(store.name + suffix).unlink(missing_ok=True)
        shutil.copy(copy, store)
        if other_looks:
            other.once()

    faults.after = put_back
    publisher.once()
    until_all_is_sent(publisher, other)
    stores.close()
    assert status_of(stores, key) is KeyStatus.REVOKED
    other.close()


def test_an_idle_publisher_notices_it_while_another_has_the_lease_only_when_that_is_over(stores, publisher, faults):
    """Who has no lease leaves how the store stands as it is noted."""
    issue(make_tenant())
    publisher.once()
    name = leases.name_of(stores.of("dev"))
    known = leases.standing_of(name)
    leases.note_standing(name, known._replace(mark=known.mark + 5))
    leases.acquire(name, "somebody else")
    assert publisher.once().published == 0
    assert leases.standing_of(name).mark == known.mark + 5
    leases.release(name, "somebody else")
    assert publisher.once().published > 1
    assert leases.standing_of(name) == known


def test_how_a_store_stands_is_kept_of_one_that_nobody_has_written_into_yet(db):
    leases.note_standing("prod embedded", Standing("e", 5))
    assert leases.standing_of("prod embedded") == Standing("e", 5)
