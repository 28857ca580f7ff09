"""Writing into KV: failures come again later, newer revs overtake, prices come before their version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import structlog
import time_machine
from django.utils import timezone

from changes.models import OutboxRow
from publishing import leases
from publishing.actions.retry import retry_entry
from publishing.backoff import delay, pause_after
from publishing.models import KvEntry, PublisherLease
from tenants.actions.keys import disable_key, enable_key, revoke_key
from tests.publishing.changing import change_key
from tests.publishing.faults import Faulty, raising
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document
from wire.kv.base import DocumentRefusedError, StoreRefusedError, StoreUnavailableError, Write


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


def lease_of(stores, env: str = "dev") -> PublisherLease:
    return PublisherLease.objects.get(namespace=leases.name_of(stores.of(env)))


def test_waits_double_up_to_a_limit():
    waits = [delay(attempts).total_seconds() for attempts in range(1, 15)]
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[12:] == [3600, 3600]
    assert delay(10_000) == timedelta(hours=1)
    pauses = [pause_after(failures).total_seconds() for failures in range(1, 8)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    assert pause_after(10_000) == timedelta(seconds=5)


def test_a_store_that_fails_is_left_alone_longer_and_longer_and_then_everything_goes_at_once(
    stores, publisher, faults, clock
):
    tenant = make_tenant()
    keys = [issue(tenant).key for _ in range(3)]
    publisher.once()
    for key in keys:
        disable_key(key=key, by=SOMEBODY)
    waits = []
    for _ in range(4):
        faults.before = raising(ConnectionError("the store is away"))
        assert publisher.once().failed == 3
        assert publisher.once() == (0, 0), "before its time nothing is sent"
        assert faults.before is None, "nor is the store asked"
        lease = lease_of(stores)
        assert lease.error == "the store is away"
        waits.append((lease.paused_until - timezone.now()).total_seconds())
        clock.move_to(lease.paused_until)
    assert waits == [0.2, 0.4, 0.8, 1.6]
    assert publisher.once().published == 3
    assert (lease_of(stores).failures, lease_of(stores).error, lease_of(stores).paused_until) == (0, "", None)
    for key in keys:
        entry = entry_of(key)
        assert (entry.rev, entry.published_rev, entry.attempts, entry.error) == (2, 2, 0, "")


def test_a_store_that_asks_to_be_left_alone_is_left_alone_as_long_as_it_asked(stores, publisher, faults, clock):
    key = issue(make_tenant()).key
    publisher.once()
    disable_key(key=key, by=SOMEBODY)
    faults.before = raising(StoreUnavailableError("too many calls", retry_after=300))
    assert publisher.once().failed == 1
    revoke_key(key=key, by=SOMEBODY)
    clock.shift(timedelta(seconds=299))
    assert publisher.once() == (0, 0)
    clock.shift(timedelta(seconds=1))
    assert publisher.once().published == 1
    assert decode_key(stores.documents("dev")[key_document(key.hash)].body).status is KeyStatus.REVOKED


def test_a_pause_is_logged_when_it_begins_when_its_reason_changes_and_when_it_ends(stores, publisher, faults, clock):
    issue(make_tenant())
    with structlog.testing.capture_logs() as logs:
        for reason in ("away", "away", "away", "refused", "refused"):
            faults.before = raising(StoreRefusedError(reason))
            publisher.once()
            clock.shift(timedelta(seconds=5))
        publisher.once()
    told = [(each["event"], each.get("error")) for each in logs if each["log_level"] in ("error", "warning")]
    assert told == [
        ("Publishing into a namespace is paused", "away"),
        ("Publishing into a namespace is paused", "refused"),
        ("Publishing into a namespace goes on", None),
    ]


def test_a_document_that_the_store_will_never_take_is_parked_and_holds_nobody_up(stores, publisher, clock):
    tenant = make_tenant()
    keys = [issue(tenant, f"key {number}").key for number in range(13)]
    bad = key_document(keys[5].hash)
    stores.opening = lambda kv: Refusing(kv, {bad})
    done = publisher.once()
    assert done.failed == 1
    assert set(stores.documents("dev", "key:")) == {key_document(key.hash) for key in keys} - {bad}
    entry = KvEntry.objects.get(key=bad)
    assert (entry.parked, entry.error) == (True, "it is too large")
    assert lease_of(stores).failures == 0, "it is no failure of the store"
    clock.shift(timedelta(days=30))
    assert publisher.once() == (0, 0), "it is not tried again by itself"
    disable_key(key=keys[5], by=SOMEBODY)
    publisher.close()
    stores.opening = lambda kv: kv
    assert publisher.once().published == 1, "a new rev is tried"
    entry.refresh_from_db()
    assert (entry.parked, entry.error, entry.published_rev) == (False, "", 2)


def test_a_person_may_have_a_parked_document_sent_again(stores, publisher):
    key = issue(make_tenant()).key
    stores.opening = lambda kv: Refusing(kv, {key_document(key.hash)})
    publisher.once()
    publisher.close()
    stores.opening = lambda kv: kv
    assert publisher.once() == (0, 0)
    retry_entry(entry=entry_of(key), by=SOMEBODY)
    assert publisher.once().published == 1


class Refusing:
    """A store that refuses documents of some names, and with them whatever they were sent with."""

    def __init__(self, kv, names) -> None:
        self._kv = kv
        self._names = names

    def write(self, writes):
        if any(each.key in self._names for each in writes):
            raise DocumentRefusedError("it is too large")
        return self._kv.write(writes)

    def __getattr__(self, name):
        return getattr(self._kv, name)


def test_what_takes_something_away_is_written_before_everything_else(stores, publisher, faults, monkeypatch):
    monkeypatch.setattr("publishing.desired.BATCH", 4)
    tenant = make_tenant()
    keys = [issue(tenant, f"key {number}").key for number in range(9)]
    publisher.once()
    for key in keys:
        change_key(key, tags={"team": "changed"})
    revoke_key(key=keys[8], by=SOMEBODY)
    OutboxRow.objects.filter(object_id=keys[8].id, due_at__lte=timezone.now()).update(urgent=True)
    faults.written.clear()
    for namespace in publisher._namespaces:
        namespace.batch = 3
    publisher.once()
    sent = [each.key for writes in faults.written for each in writes]
    assert sent[0] == key_document(keys[8].hash)
    assert len(sent) == 9


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
    for namespace in publisher._namespaces:
        namespace.batch = 3
    monkeypatch.setattr("publishing.desired.BATCH", 4)
    tenant = make_tenant()
    keys = [issue(tenant, f"key {number}").key for number in range(11)]
    publisher.once()
    assert set(stores.documents("dev", "key:")) == {key_document(key.hash) for key in keys}
