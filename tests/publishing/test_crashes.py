"""A publisher may die between any two steps. Whoever comes after it brings the store to what SQL says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import settings as django_settings

from changes.models import OutboxRow
from changes.record import Topic
from publishing import desired, drain, entries, leases
from publishing.models import KvEntry, KvVersion, Republish
from publishing.namespace import Namespace
from publishing.republish import start_republish
from tenants.actions.keys import disable_key, revoke_key
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import across_tenants
from tests.publishing.changing import publish_again, revs
from tests.publishing.faults import Crash, Faulty, raising
from tests.publishing.steps import at_statement
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document

# Each name is a step; the publisher dies just before it begins or just after it has ended.
STEPS = [
    (desired, "settle"),
    (desired, "_settle"),
    (desired, "desire"),
    (entries, "put"),
    (leases, "acquire"),
    (Namespace, "check"),
    (drain, "_claim"),
    (drain, "_send"),
    (drain, "_mark_published"),
    (leases, "release"),
]


def dying(function, *, after: bool, count: list[int]):
    def wrapped(*args, **kwargs):
        if count[0] <= 0:
            return function(*args, **kwargs)
        count[0] -= 1
        if after:
            function(*args, **kwargs)
        raise Crash

    return wrapped


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("module", "step"), STEPS, ids=[step for _, step in STEPS])
def test_after_a_crash_at_any_step_the_next_publisher_finishes(stores, db, monkeypatch, module, step, after):
    with time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False) as clock:
        tenant = make_tenant()
        kept, revoked = issue(tenant, "kept").key, issue(tenant, "revoked").key
        first = stores.publisher()
        first.once()
        disable_key(key=kept, by=SOMEBODY)
        revoke_key(key=revoked, by=SOMEBODY)
        wrapped = dying(getattr(module, step), after=after, count=[1])
        monkeypatch.setattr(module, step, wrapped)
        if (module, step) == (desired, "settle"):
            monkeypatch.setattr("publishing.publisher.settle", wrapped)
        with pytest.raises(Crash):
            first.once()
        clock.shift(timedelta(seconds=5))  # leases end, claims come again
        second = stores.publisher()
        second.once()
        documents = stores.documents("dev", "key:")
        assert decode_key(documents[key_document(kept.hash)].body).status is KeyStatus.DISABLED
        assert decode_key(documents[key_document(revoked.hash)].body).status is KeyStatus.REVOKED
        assert {entry.rev for entry in documents.values()} == {2}
        assert not KvEntry.objects.exclude(published_rev__gte=1).exists()
        assert all(entry.published_rev == entry.rev for entry in KvEntry.objects.all())
        assert OutboxRow.objects.count() == 1  # the deletion that is due in a day
        first.close()
        second.close()


@pytest.mark.parametrize("plan", ["before", "after"])
def test_a_crash_while_the_store_writes(stores, db, plan):
    faults = Faulty()
    stores.opening = faults.around
    with time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False) as clock:
        key = issue(make_tenant()).key
        setattr(faults, plan, raising(Crash()))
        publisher = stores.publisher()
        with pytest.raises(Crash):
            publisher.once()
        clock.shift(timedelta(seconds=5))
        publisher.once()
        assert stores.documents("dev")[key_document(key.hash)].rev == 1
        publisher.close()


def test_after_a_crash_before_any_statement_the_next_publisher_finishes(stores, db):
    """The same between any two steps that there are: everything anew and a second store are under way, too."""
    statement, died = 0, True
    while died:
        with time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False) as clock:
            stores.name({"dev": [stores.embedded("dev", f"first {statement}")]})
            tenant = make_tenant(f"Tenant {statement}")
            kept, revoked = issue(tenant, "kept").key, issue(tenant, "revoked").key
            first = stores.publisher()
            first.once()
            disable_key(key=kept, by=SOMEBODY)
            revoke_key(key=revoked, by=SOMEBODY)
            start_republish(env="dev", by=SOMEBODY)
            publish_again(Topic.PROJECT, kept.project_id, urgent=True)
            first.close()
            stores.name({"dev": [stores.of("dev"), stores.embedded("dev", f"second {statement}")]})
            first = stores.publisher()
            died = False
            try:
                with at_statement(statement, raising(Crash())):
                    first.once()
            except Crash:
                died = True
            first.close()
            clock.shift(timedelta(seconds=5))
            second = stores.publisher()
            second.once()
            second.close()
            for store in django_settings.SPENDOPS.stores["dev"]:
                documents = stores.documents("dev", "key:", store=store)
                assert decode_key(documents[key_document(kept.hash)].body).status is KeyStatus.DISABLED
                assert decode_key(documents[key_document(revoked.hash)].body).status is KeyStatus.REVOKED
                assert set(revs(store.id).values()) <= {(rev, rev) for rev in range(1, 5)}
            assert not Republish.objects.filter(status=Republish.Status.RUNNING).exists()
            with across_tenants("the next round begins with nothing"):
                for model in (KvEntry, KvVersion, OutboxRow, ApiKey, Project, Tenant):
                    model.objects.all().delete()
            stores.close()
        statement += 5
    assert statement > 100, "there are more steps than that"
