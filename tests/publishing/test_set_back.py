"""A Redis that restarts without its last writes, an embedded store that is put back: nobody has to compare first."""

from __future__ import annotations

import shutil

import pytest

from publishing.models import PublisherLease
from tenants.actions.keys import revoke_key
from tests.redis import redis_server
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document


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
