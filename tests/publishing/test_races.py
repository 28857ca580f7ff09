"""Publishers and writers at the same time, on a real PostgreSQL, where nothing but row locks keeps them apart."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.models import F
from django.utils import timezone

from changes.models import OutboxRow
from changes.record import Publish, Topic, record
from publishing import drain
from publishing.desired import settle
from publishing.models import KvEntry, Republish
from publishing.namespace import Namespace
from publishing.publisher import Publisher
from publishing.republish import start_republish
from publishing.wake import NotifyWaker
from tenants.actions.keys import disable_key, enable_key, revoke_key
from tenants.models import ApiKey
from tenants.scope import across_tenants
from tests.publishing.changing import change_key, publish_again, revs
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def on_its_own_connection(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connection.close()


def test_two_publishers_and_several_writers_end_at_what_sql_says(stores):
    tenant = make_tenant()
    keys = [issue(tenant, f"key {number}").key for number in range(6)]
    stop = threading.Event()
    seen: dict[str, int] = {}
    went_back: list[str] = []

    def publish() -> None:
        publisher = stores.publisher()
        while not stop.is_set():
            publisher.once()
        publisher.close()

    def edit(mine: list[ApiKey]) -> None:
        for _ in range(12):
            for key in mine:
                disable_key(key=key, by=SOMEBODY)
                enable_key(key=key, by=SOMEBODY)
        revoke_key(key=mine[0], by=SOMEBODY)

    def watch() -> None:
        kv = stores.open("dev")
        while not stop.is_set():
            for entry in kv.list("key:").entries:
                if entry.rev < seen.get(entry.key, 0):
                    went_back.append(entry.key)
                seen[entry.key] = entry.rev
        kv.close()

    with ThreadPoolExecutor(6) as pool:
        background = [pool.submit(on_its_own_connection, each) for each in (publish, publish, watch)]
        writers = [pool.submit(on_its_own_connection, lambda n=n: edit(keys[n::3])) for n in range(3)]
        for writer in writers:
            writer.result(timeout=60)
        deadline = time.monotonic() + 30
        while OutboxRow.objects.filter(error="").count() > 3 and time.monotonic() < deadline:
            time.sleep(0.02)  # three deletions stay, which are due in a day
        stop.set()
        for each in background:
            each.result(timeout=30)
    last = stores.publisher()
    KvEntry.objects.update(next_at=KvEntry.objects.earliest("updated_at").updated_at)
    last.once()
    last.close()
    with across_tenants("all keys are compared"):
        living = {key_document(key.hash): KeyStatus(key.status) for key in ApiKey.objects.all()}
    assert {name: decode_key(each.body).status for name, each in stores.documents("dev", "key:").items()} == living
    assert list(living.values()).count(KeyStatus.REVOKED) == 3
    assert went_back == []
    assert all(entry.published_rev == entry.rev for entry in KvEntry.objects.all())


def test_running_publishers_with_two_stores_republish_and_a_project_end_at_what_sql_says(stores, caplog):
    """All that writes the same rows at once: settling, raising, seeding, and threads that claim and mark."""
    stores.name({"dev": [stores.of("dev"), stores.embedded("dev", "second")]})
    tenant = make_tenant()
    keys = [issue(tenant, f"key {number}").key for number in range(8)]
    stop = threading.Event()

    def edit(mine: list[ApiKey]) -> None:
        for round_ in range(8):
            for key in mine:
                disable_key(key=key, by=SOMEBODY)
                change_key(key, rpm=round_)
                enable_key(key=key, by=SOMEBODY)
        revoke_key(key=mine[0], by=SOMEBODY)

    def everything_anew() -> None:
        for _ in range(3):
            start_republish(env="dev", by=SOMEBODY)
            publish_again(Topic.PROJECT, keys[0].project_id, urgent=True)
            until(lambda: not Republish.objects.filter(status="running").exists(), 60)

    with ThreadPoolExecutor(8) as pool, caplog.at_level("ERROR"):
        running = [pool.submit(Publisher.of_settings().run, stop) for _ in range(2)]
        try:
            work = [pool.submit(on_its_own_connection, lambda n=n: edit(keys[n::2])) for n in range(2)]
            work.append(pool.submit(on_its_own_connection, everything_anew))
            for each in work:
                each.result(timeout=90)
            behind = KvEntry.objects.filter(published_rev__lt=F("rev"))
            due = OutboxRow.objects.filter(due_at__lte=timezone.now())
            until(lambda: not due.exists() and not behind.exists(), 30)
        finally:
            stop.set()
        for each in running:
            each.result(timeout=30)
    assert caplog.text == "", "no deadlock, nothing was tried in vain"
    with across_tenants("all keys are compared"):
        living = {key_document(key.hash): (key.status, key.rpm) for key in ApiKey.objects.all()}
    for store in settings.SPENDOPS.stores["dev"]:
        held = stores.documents("dev", "key:", store=store)
        found = {name: decode_key(each.body) for name, each in held.items()}
        assert {name: (policy.status, policy.rpm) for name, policy in found.items()} == living
    assert revs("embedded") == revs("second")


def test_of_many_who_claim_at_once_each_entry_is_claimed_by_one(stores):
    tenant = make_tenant()
    for number in range(30):
        issue(tenant, f"key {number}")
    while settle():
        pass
    KvEntry.objects.filter(env="dev", key__startswith="key:").update(urgent=True)
    barrier = threading.Barrier(4)
    claimed: list[int] = []

    def claim() -> None:
        namespace = Namespace(stores.of("dev"))
        namespace.batch = 3
        barrier.wait(timeout=10)
        for _ in range(12):
            claimed.extend(entry.pk for entry in drain._claim(namespace))

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(on_its_own_connection, claim) for _ in range(4)]:
            each.result(timeout=30)
    assert len(claimed) == 31
    assert len(set(claimed)) == 31


def until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def test_a_commit_wakes_the_publisher(stores):
    stop, waker = threading.Event(), NotifyWaker()
    waker.look()

    def commit() -> None:
        with transaction.atomic():
            some = [Publish(Topic.TENANT, "t_1")]
            record("test", by=SOMEBODY, tenant="", target_kind="x", target_id="x", publish=some)

    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        waiting = pool.submit(waker.wait, 20, stop)
        commit()
        waiting.result(timeout=10)
        assert time.monotonic() - started < 5
        commit()  # while nobody waits: the next wait ends at once
        started = time.monotonic()
        pool.submit(waker.wait, 20, stop).result(timeout=10)
        assert time.monotonic() - started < 5
    waker.close()


def test_a_change_that_is_rolled_back_wakes_nobody(stores):
    stop, waker = threading.Event(), NotifyWaker()
    waker.look()
    with transaction.atomic():
        some = [Publish(Topic.TENANT, "t_1")]
        record("test", by=SOMEBODY, tenant="", target_kind="x", target_id="x", publish=some)
        transaction.set_rollback(True)
    started = time.monotonic()
    waker.wait(0.5, stop)
    assert time.monotonic() - started >= 0.5
    waker.close()


def test_a_publisher_outlives_a_database_that_is_away_for_a_while(stores, monkeypatch):
    """Its connections are cut, and for some looks nobody answers at the address."""
    away, asked, found = threading.Event(), [], DatabaseWrapper.get_connection_params
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and never listens

        def parameters(self: DatabaseWrapper) -> dict[str, object]:
            if not away.is_set():
                return found(self)
            asked.append(threading.current_thread().name)
            return found(self) | {"host": "127.0.0.1", "port": closed.getsockname()[1]}

        monkeypatch.setattr(DatabaseWrapper, "get_connection_params", parameters)
        key = issue(make_tenant()).key
        publisher, stop = stores.publisher(), threading.Event()
        running = threading.Thread(target=on_its_own_connection, args=(lambda: publisher.run(stop),), name="publisher")
        running.start()
        try:
            within(20, lambda: key_document(key.hash) in stores.documents("dev"))
            away.set()
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            within(30, lambda: asked.count("publisher") >= 3 and len(set(asked)) >= 3)
            assert running.is_alive()
            away.clear()
            revoke_key(key=key, by=SOMEBODY)
            within(20, lambda: status_in(stores, key) is KeyStatus.REVOKED)
        finally:
            away.clear()
            stop.set()
            running.join(20)
    assert not running.is_alive()


def status_in(stores, key: ApiKey) -> KeyStatus:
    return decode_key(stores.documents("dev")[key_document(key.hash)].body).status


def within(seconds: float, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_being_told_to_stop_ends_the_wait(stores):
    stop, waker = threading.Event(), NotifyWaker()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(waker.wait, 60, stop)
        stop.set()
        waiting.result(timeout=10)
    waker.close()
    close_old_connections()


def test_two_may_not_take_one_name(db):
    tenant_names = []

    def create() -> None:
        from tenants.errors import NameTakenError

        barrier.wait(timeout=10)
        try:
            tenant_names.append(make_tenant("Acme").name)
        except NameTakenError:
            tenant_names.append("taken")

    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(on_its_own_connection, create) for _ in range(4)]:
            each.result(timeout=30)
    assert sorted(tenant_names) == ["Acme", "taken", "taken", "taken"]
