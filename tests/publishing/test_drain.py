"""Writing into KV: failures come again later, newer revs overtake, prices come before their version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from publishing import leases
from publishing.actions.retry import retry_entry
from publishing.backoff import delay
from publishing.models import KvEntry
from tenants.actions.keys import disable_key, enable_key, revoke_key
from tests.publishing.faults import Faulty, raising
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document
from wire.kv.base import Write


@pytest.fixture
def faults(stores) -> Faulty:
    found = Faulty()
    stores.opening = found.around
    return found


@pytest.fixture
def clock():
    with time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False) as found:
        yield found


def entry_of(key) -> KvEntry:
    return KvEntry.objects.get(key=key_document(key.hash))


def test_waits_double_up_to_an_hour():
    waits = [delay(attempts).total_seconds() for attempts in range(1, 15)]
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[11] == 2048
    assert waits[12:] == [3600, 3600]
    assert delay(10_000) == timedelta(hours=1)


def test_a_failed_write_comes_again_later_and_later(stores, publisher, faults, clock):
    key = issue(make_tenant()).key
    publisher.once()
    disable_key(key=key, by=SOMEBODY)
    waits = []
    for _ in range(4):
        faults.before = raising(ConnectionError("the store is away"))
        done = publisher.once()
        assert done.failed == 1
        assert publisher.once() == (0, 0), "before its time nothing is sent"
        entry = entry_of(key)
        assert "the store is away" in entry.error
        waits.append((entry.next_at - timezone.now()).total_seconds())
        clock.move_to(entry.next_at)
    assert waits == [1, 2, 4, 8]
    assert publisher.once().published == 1
    entry = entry_of(key)
    assert (entry.rev, entry.published_rev, entry.attempts, entry.error) == (2, 2, 0, "")


def test_a_new_change_does_not_wait_for_what_the_old_one_failed_at(stores, publisher, faults, clock):
    key = issue(make_tenant()).key
    for _ in range(6):
        faults.before = raising(TimeoutError())
        publisher.once()
        clock.shift(timedelta(hours=1))
    faults.before = raising(TimeoutError())
    publisher.once()
    revoke_key(key=key, by=SOMEBODY)
    publisher.once()
    assert decode_key(stores.documents("dev")[key_document(key.hash)].body).status is KeyStatus.REVOKED


def test_a_person_may_have_it_sent_again_at_once(stores, publisher, faults, clock):
    key = issue(make_tenant()).key
    publisher.once()
    disable_key(key=key, by=SOMEBODY)
    for _ in range(3):
        faults.before = raising(ConnectionError())
        publisher.once()
        clock.move_to(entry_of(key).next_at)
    faults.before = raising(ConnectionError())
    publisher.once()
    retry_entry(entry=entry_of(key), by=SOMEBODY)
    assert publisher.once().published == 1


def test_when_the_answer_is_lost_the_same_is_sent_again_and_does_no_harm(stores, publisher, faults, clock):
    key = issue(make_tenant()).key
    faults.after = raising(TimeoutError("no answer"))
    publisher.once()
    assert entry_of(key).published_rev == 0, "what became of the write is not guessed"
    clock.shift(timedelta(seconds=1))
    publisher.once()
    first, again = (writes for writes in faults.written if any("key:" in each.key for each in writes))
    assert list(first) == list(again)
    assert entry_of(key).published_rev == 1


def test_only_the_rev_that_was_sent_counts_as_published(stores, publisher, faults):
    key = issue(make_tenant()).key
    faults.after = lambda: (disable_key(key=key, by=SOMEBODY), settle_elsewhere())
    publisher.once()
    entry = entry_of(key)
    assert (entry.rev, entry.published_rev) == (2, 2)
    sent = [each.rev for writes in faults.written for each in writes if each.key == entry.key]
    assert sent == [1, 2]


def settle_elsewhere() -> None:
    from publishing.desired import settle

    while settle():
        pass


def test_an_older_rev_never_wins(stores, publisher, faults, clock):
    """One publisher stalls just before it writes; meanwhile its lease ends and another one publishes a newer rev."""
    key = issue(make_tenant()).key
    other = stores.publisher()

    def overtaken() -> None:
        disable_key(key=key, by=SOMEBODY)
        clock.shift(leases.LIFETIME)
        assert other.once().published == 3  # the tenant in two environments, and the key

    faults.before = overtaken
    publisher.once()
    held = stores.documents("dev")[key_document(key.hash)]
    assert (held.rev, decode_key(held.body).status) == (2, KeyStatus.DISABLED)
    entry = entry_of(key)
    assert (entry.rev, entry.published_rev) == (2, 2)
    other.close()


def test_a_namespace_has_one_publisher_at_a_time(stores, publisher, faults):
    make_tenant()
    other = stores.publisher()
    seen = []
    faults.before = lambda: seen.append(other.once())
    done = publisher.once()
    assert (done.published, [each.published for each in seen]) == (1, [1]), "the other one served the other environment"
    assert len(faults.written) == 2
    assert {env: len(stores.documents(env, "tenant:")) for env in ("dev", "prod")} == {"dev": 1, "prod": 1}
    other.close()


def test_the_lease_of_a_dead_publisher_ends(db, clock):
    assert leases.acquire("dev", "the dead one")
    assert not leases.acquire("dev", "another")
    assert leases.acquire("dev", "the dead one"), "its holder may renew it"
    clock.shift(leases.LIFETIME)
    assert leases.acquire("dev", "another")
    assert not leases.acquire("dev", "the dead one")
    leases.release("dev", "the dead one")
    assert not leases.acquire("dev", "a third"), "nobody gives back what another one holds"
    leases.release("dev", "another")
    assert leases.acquire("dev", "a third")


def test_sql_goes_past_a_store_that_is_ahead_of_it(stores, publisher):
    """As after SQL was restored from a backup: its revs are behind those that the store has seen."""
    key = issue(make_tenant()).key
    name = key_document(key.hash)
    stores.reader("dev").add("meta:env", b'{"schema":1,"env":"dev"}')
    stores.reader("dev").write([Write(name, 41, b'{"rev":41,"status":"active","of":"another time"}')])
    publisher.once()
    held = stores.documents("dev")[name]
    assert (held.rev, decode_key(held.body).rev, decode_key(held.body).key) == (42, 42, key.id)
    assert (entry_of(key).rev, entry_of(key).published_rev) == (42, 42)


def test_sql_deletes_past_a_store_that_is_ahead_of_it(stores, publisher, clock):
    key = issue(make_tenant()).key
    publisher.once()
    name = key_document(key.hash)
    stores.reader("dev").write([Write(name, 9, b'{"rev":9}')])
    revoke_key(key=key, by=SOMEBODY)
    clock.shift(timedelta(days=1))
    publisher.once()
    held = stores.documents("dev")[name]
    assert (held.body, held.rev) == (None, 10)


def test_a_key_that_works_again_is_a_newer_rev_not_the_old_one(stores, publisher):
    key = issue(make_tenant()).key
    publisher.once()
    disable_key(key=key, by=SOMEBODY)
    publisher.once()
    enable_key(key=key, by=SOMEBODY)
    publisher.once()
    held = stores.documents("dev")[key_document(key.hash)]
    assert (held.rev, decode_key(held.body).status) == (3, KeyStatus.ACTIVE)


def test_more_than_a_batch_is_written_whole(stores, publisher, monkeypatch):
    monkeypatch.setattr("publishing.drain.BATCH", 3)
    monkeypatch.setattr("publishing.desired.BATCH", 4)
    tenant = make_tenant()
    keys = [issue(tenant, f"key {number}").key for number in range(11)]
    publisher.once()
    assert set(stores.documents("dev", "key:")) == {key_document(key.hash) for key in keys}
