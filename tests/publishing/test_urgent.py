"""What takes something away from somebody is sent before everything else, whichever way it came to be sent."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
import time_machine
from django.apps import apps
from django.db import connection

from publishing.models import KvEntry
from tenants.actions.keys import disable_key, revoke_key
from tests.publishing.faults import Faulty
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import key_document


@pytest.fixture
def clock():
    with time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=True) as found:
        yield found


def test_after_a_set_back_a_deletion_is_not_behind_the_bulk(stores, db, clock):
    tenant = make_tenant()
    for number in range(12):
        issue(tenant, f"key {number}")
    victim = issue(tenant, "victim").key
    first = stores.publisher()
    first.once()
    first.close()
    store, copy = stores.folder / "dev" / "embedded.sqlite3", stores.folder / "copy.sqlite3"
    shutil.copy(store, copy)
    revoke_key(key=victim, by=SOMEBODY)
    second = stores.publisher()
    second.once()
    clock.shift(timedelta(days=2))
    second.once()
    second.close()
    entry = KvEntry.objects.get(key=key_document(victim.hash))
    assert (entry.body, entry.urgent) == (None, True)
    shutil.copy(copy, store)
    faults = Faulty()
    stores.opening = faults.around
    third = stores.publisher()
    for namespace in third._namespaces:
        namespace.batch = 3
    third.once()
    third.close()
    sent = [each.key for writes in faults.written for each in writes]
    assert sent.index(entry.key) < 3
    assert len(sent) > 12


def test_rows_from_before_there_was_urgency_are_marked(publisher, monkeypatch):
    """The migration, on rows as an older installation left them."""
    tenant = make_tenant()
    keys = [issue(tenant, f"key {number}").key for number in range(5)]
    revoke_key(key=keys[0], by=SOMEBODY)
    disable_key(key=keys[1], by=SOMEBODY)
    publisher.once()
    document = [key_document(key.hash) for key in keys]
    KvEntry.objects.filter(key=document[2]).update(body=None, digest="")
    blocked = b'{"rev":1,"env":"dev","block":{"reason":"budget_exhausted","message":"used"}}'
    KvEntry.objects.filter(key=document[3]).update(body=blocked)
    suspended = KvEntry.objects.filter(env="prod", key=f"tenant:{tenant.id}")
    suspended.update(body=b'{"rev":1,"env":"prod","tenant":"t","suspended":true}')
    KvEntry.objects.update(urgent=False)
    migration = import_module("publishing.migrations.0006_what_takes_away_is_urgent")
    monkeypatch.setattr(migration, "AT_ONCE", 2)
    migration.mark(apps, SimpleNamespace(connection=connection))
    urgent = set(KvEntry.objects.filter(urgent=True).values_list("env", "key"))
    assert urgent == {*(("dev", each) for each in document[:4]), ("prod", f"tenant:{tenant.id}")}
