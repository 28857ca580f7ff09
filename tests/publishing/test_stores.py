"""Several stores carry one environment's documents; each is fed by itself, and one that is named anew catches up."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import structlog
import time_machine
from django.db import connection

from publishing.models import KvEntry, KvVersion, PublisherLease
from publishing.namespace import Namespace
from publishing.publisher import Publisher
from publishing.seeding import LOOK_AGAIN_SECONDS
from tenants.actions.keys import disable_key, revoke_key
from tests.publishing.changing import change_key, revs
from tests.publishing.faults import Crash, Faulty, raising
from tests.publishing.places import Place
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document
from wire.kv.base import StoreUnavailableError


@pytest.fixture
def two(stores):
    """An embedded store that gateways read, and a second one beside it."""
    found = stores.of("dev"), stores.embedded("dev", "second")
    stores.name({"dev": found})
    return found


def living(stores, store) -> dict[str, bytes]:
    return {key: each.body for key, each in stores.documents("dev", store=store).items() if each.body is not None}


def test_all_stores_of_an_environment_hold_the_same_documents_at_the_same_revs(stores, two, publisher):
    tenant = make_tenant()
    keys = [issue(tenant).key for _ in range(3)]
    publisher.once()
    disable_key(key=keys[0], by=SOMEBODY)
    revoke_key(key=keys[1], by=SOMEBODY)
    publisher.once()
    first, second = (living(stores, store) for store in two)
    assert first == second
    assert len(first) == 5, "three keys, the tenant, the sentinel"
    versions = KvVersion.objects.filter(env="dev", key=key_document(keys[0].hash)).order_by("rev")
    assert [(each.rev, decode_key(each.body).status.value) for each in versions] == [(1, "active"), (2, "disabled")]


def test_a_store_that_fails_does_not_hold_up_the_other(stores, two, publisher):
    key = issue(make_tenant()).key
    publisher.once()
    disable_key(key=key, by=SOMEBODY)
    faults = Faulty()
    publisher.close()
    stores.opening = faults.around
    faults.before = raising(StoreUnavailableError("away"))  # for the first of the two that is written into
    publisher.once()
    name = key_document(key.hash)
    assert revs("embedded")[name] == (2, 1)
    assert revs("second")[name] == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_while_one_store_stalls_a_revocation_reaches_the_other_within_a_second(stores, two):
    stalled, free = two
    key = issue(make_tenant()).key
    name = key_document(key.hash)
    publisher, stop, over = Publisher.of_settings(), threading.Event(), threading.Event()
    stalling = threading.Event()

    class Stalling:
        def __init__(self, kv) -> None:
            self._kv = kv

        def write(self, writes):
            stalling.set()
            over.wait(30)
            raise StoreUnavailableError("no answer in time")

        def __getattr__(self, name):
            return getattr(self._kv, name)

    stores.opening = lambda kv: Stalling(kv) if "embedded" in str(path_of(kv)) else kv
    running = threading.Thread(target=publisher.run, args=(stop,))
    running.start()
    try:
        assert stalling.wait(20)
        reader = stores.reader("dev", free)
        until(lambda: reader.get(name) is not None, 20)
        revoke_key(key=key, by=SOMEBODY)
        until(lambda: decode_key(reader.get(name)).status is KeyStatus.REVOKED, 1)
        assert stores.reader("dev", stalled).get(name) is None
    finally:
        stop.set()
        over.set()
        running.join(20)
    assert not running.is_alive()


def path_of(kv) -> str:
    return str(kv._db.execute("PRAGMA database_list").fetchone()[2])


def until(true, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.005)


def test_a_store_that_is_named_anew_gets_everything_also_what_was_deleted(stores, publisher, monkeypatch):
    monkeypatch.setattr("publishing.seeding.PIECE", 2)
    with time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False) as clock:
        tenant = make_tenant()
        keys = [issue(tenant).key for _ in range(5)]
        revoke_key(key=keys[0], by=SOMEBODY)
        publisher.once()
        clock.shift(timedelta(days=1))
        disable_key(key=keys[1], by=SOMEBODY)
        publisher.once()
        new = stores.embedded("dev", "new")
        stores.name({"dev": [stores.of("dev"), new]})
        later = Publisher.of_settings()
        later.once()
        later.close()
    old = stores.documents("dev")
    assert {key: (each.rev, each.body) for key, each in stores.documents("dev", store=new).items()} == {
        key: (each.rev, each.body) for key, each in old.items()
    }
    assert old[key_document(keys[0].hash)].body is None
    assert KvVersion.objects.filter(env="dev").count() == 8, "seeding makes no new version"


def test_a_seeding_that_dies_goes_on_where_rows_are_lacking(stores, publisher, monkeypatch):
    monkeypatch.setattr("publishing.seeding.PIECE", 2)
    tenant = make_tenant()
    for _ in range(6):
        issue(tenant)
    publisher.once()
    stores.name({"dev": [stores.of("dev"), stores.embedded("dev", "new")]})
    pieces = []

    def dying(rows) -> None:
        pieces.append(rows)
        if len(pieces) == 3:
            raise Crash
        put(rows)

    from publishing import entries, seeding

    put = entries.put
    monkeypatch.setattr(seeding, "put", dying)
    with pytest.raises(Crash):
        stores.publisher().once()
    assert KvEntry.objects.filter(store="new").count() == 4
    monkeypatch.setattr(seeding, "put", put)
    last = stores.publisher()
    last.once()
    last.close()
    assert revs("new") == revs("embedded")


def test_moving_from_one_store_to_another_by_configuration_alone(stores, publisher):
    key = issue(make_tenant()).key
    publisher.once()
    old = stores.of("dev")
    new = stores.embedded("dev", "new")
    stores.name({"dev": [new]})
    moved = stores.publisher()
    moved.once()
    disable_key(key=key, by=SOMEBODY)
    moved.once()
    name = key_document(key.hash)
    held = stores.documents("dev", store=new)[name]
    assert (held.rev, decode_key(held.body).status) == (2, KeyStatus.DISABLED)
    assert revs("embedded")[name] == (1, 1), "what is not named any more is left as it was"
    stores.name({"dev": [old]})
    back = stores.publisher()
    back.once()
    held = stores.documents("dev", store=old)[name]
    assert (held.rev, decode_key(held.body).status) == (2, KeyStatus.DISABLED)
    change_key(key, tags={"team": "red"})
    back.once()
    assert revs("embedded")[name] == (3, 3)
    for each in (moved, back):
        each.close()


def test_a_change_while_a_store_is_being_seeded_is_not_overwritten_by_the_copy(stores, publisher):
    key = issue(make_tenant()).key
    publisher.once()
    stores.name({"dev": [stores.of("dev"), stores.embedded("dev", "new")]})
    disable_key(key=key, by=SOMEBODY)
    last = stores.publisher()
    last.once()
    last.close()
    assert revs("new") == revs("embedded")
    assert revs("new")[key_document(key.hash)] == (2, 2)


def test_a_publisher_looks_for_lacking_rows_again_every_hour(stores, publisher):
    issue(make_tenant())
    publisher.once()
    KvEntry.objects.filter(env="dev", key__startswith="key:").update(store="another")
    publisher.once()
    assert len(revs("embedded")) == 1
    publisher._seeding._ended -= LOOK_AGAIN_SECONDS
    publisher.once()
    assert len(revs("embedded")) == 2


@pytest.fixture(params=["embedded", "redis"])
def one(request, stores):
    """A store of each kind that notices what was done to it."""
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        stores.name({env: [stores.redis(env, server)] for env in ("dev", "prod")})
    return stores.of("dev")


def test_a_store_that_was_emptied_is_filled_again(stores, one, publisher):
    tenant = make_tenant()
    keys = [issue(tenant).key for _ in range(3)]
    revoke_key(key=keys[0], by=SOMEBODY)
    publisher.once()
    before = {key: each.body for key, each in stores.documents("dev").items()}
    Place(one).empty()
    assert stores.documents("dev") == {}
    with structlog.testing.capture_logs() as logs:
        assert publisher.once().published == 4
    assert [each["event"] for each in logs if each["log_level"] == "error"] == [
        "A namespace was emptied: everything is sent again"
    ]
    assert {key: each.body for key, each in stores.documents("dev").items()} == before


def test_a_crash_while_an_emptied_store_is_filled_loses_nothing(stores, one, publisher, monkeypatch):
    issue(make_tenant())
    publisher.once()
    before = {key: each.body for key, each in stores.documents("dev").items()}
    Place(one).empty()

    def dies(self) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Namespace, "claim", dies)
        with pytest.raises(Crash):
            publisher.once()
    again = stores.publisher()
    KvEntry.objects.update(next_at=datetime(2020, 1, 1, tzinfo=UTC))
    PublisherLease.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    again.once()
    again.close()
    assert {key: each.body for key, each in stores.documents("dev").items()} == before


def test_publishing_dev_into_the_namespace_of_prod_is_refused_with_both_names(stores, one, publisher):
    make_tenant()
    publisher.once()
    dev = stores.of("dev")
    wrong = type(dev)(dev.kind, "prod", dev.id, dev.address, namespace=dev.namespace)
    before = stores.documents("dev")
    namespace = Namespace(wrong)
    with pytest.raises(Exception, match="configured for prod belongs to dev: nothing is written"):
        namespace.check()
    namespace.close()
    stores.name({"prod": [wrong]})
    confused = Publisher.of_settings()
    make_tenant("Another")
    confused.once()
    confused.close()
    after = stores.documents("dev")
    assert {key: after[key] for key in before} == before
    assert all(b'"env":"dev"' in each.body for each in after.values())


@pytest.mark.django_db(transaction=True)
def test_a_publisher_that_is_told_to_stop_ends_with_all_its_threads(stores):
    publisher, stop = Publisher.of_settings(), threading.Event()
    before = set(threading.enumerate())
    running = threading.Thread(target=publisher.run, args=(stop,))
    running.start()
    until(lambda: len(set(threading.enumerate()) - before) == 3, 20)
    stop.set()
    running.join(20)
    until(lambda: not set(threading.enumerate()) - before, 20)
    connection.close()
