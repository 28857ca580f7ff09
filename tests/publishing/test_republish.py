"""Everything anew: piece by piece, at higher revs, while revocations go through at once."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from changes.models import AuditEvent
from publishing.desired import settle
from publishing.models import KvEntry, KvVersion, Republish
from publishing.republish import republish_piece, start_republish, stop_republish
from tenants.actions.keys import revoke_key
from tests.publishing.changing import publish_again, revs
from tests.publishing.faults import Faulty
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document


@pytest.fixture
def keys(stores, publisher, monkeypatch):
    monkeypatch.setattr("publishing.republish.PIECE", 3)
    tenant = make_tenant()
    found = [issue(tenant).key for _ in range(7)]
    publisher.once()
    return found


def test_everything_of_one_environment_is_sent_again_at_a_higher_rev(stores, publisher, keys):
    before = stores.documents("dev", "key:")
    start_republish(env="dev", by=SOMEBODY)
    assert publisher.once().published == 8
    after = stores.documents("dev", "key:")
    assert {entry.rev for entry in after.values()} == {2}
    for key, entry in after.items():
        assert decode_key(entry.body).rev == 2
        assert entry.body.replace(b'"rev":2', b'"rev":1') == before[key].body
    assert {entry.rev for entry in stores.documents("prod").values()} == {1}
    found = Republish.objects.get()
    assert (found.status, found.done, found.total) == ("done", 8, 8)
    assert found.ended_at is not None
    assert KvVersion.objects.filter(env="dev").count() == 8, "what was said is what it was"
    assert set(KvEntry.objects.filter(env="dev").values_list("why", flat=True)) == {found.why}
    kinds = list(AuditEvent.objects.filter(kind__startswith="kv.").order_by("id").values_list("kind", "actor_id"))
    assert kinds == [
        ("kv.republish_started", SOMEBODY.id),
        ("kv.republish_ended", "publishing.publisher"),
    ]


def test_a_revocation_meanwhile_does_not_wait(stores, publisher, keys):
    start_republish(env="dev", by=SOMEBODY)
    republish_piece()
    revoke_key(key=keys[3], by=SOMEBODY)
    faults = Faulty()
    publisher.close()
    stores.opening = faults.around
    assert publisher._settle_some(), "it is settled before the next piece"
    assert Republish.objects.get().done == 3
    publisher.once()
    assert faults.written[0][0].key == key_document(keys[3].hash)
    assert decode_key(faults.written[0][0].body).status is KeyStatus.REVOKED


def test_it_goes_on_where_a_publisher_died(stores, publisher, keys):
    start_republish(env="dev", by=SOMEBODY)
    republish_piece()
    assert sorted(rev for rev, _ in revs("embedded").values()) == [1] * 5 + [2] * 3
    other = stores.publisher()
    other.once()
    other.close()
    assert {rev for rev, _ in revs("embedded").values()} == {2}


def test_it_stops_when_told_and_another_may_begin(stores, publisher, keys):
    with pytest.raises(Exception, match="Nothing is being published anew in dev"):
        stop_republish(env="dev", by=SOMEBODY)
    start_republish(env="dev", by=SOMEBODY)
    republish_piece()
    with pytest.raises(Exception, match=r"anew already: 3 of 8 documents are done.*--env dev --stop"):
        start_republish(env="dev", by=SOMEBODY)
    start_republish(env="prod", by=SOMEBODY)
    stop_republish(env="dev", by=SOMEBODY)
    publisher.once()
    assert sorted(published for _, published in revs("embedded").values()) == [1] * 5 + [2] * 3
    assert dict(Republish.objects.values_list("env", "status")) == {"dev": "stopped", "prod": "done"}
    start_republish(env="dev", by=SOMEBODY)
    publisher.once()
    assert sorted(published for _, published in revs("embedded").values()) == [2] * 5 + [3] * 3


def test_a_change_that_was_overtaken_by_it_keeps_its_content(stores, publisher, keys):
    revoke_key(key=keys[0], by=SOMEBODY)
    start_republish(env="dev", by=SOMEBODY)
    while republish_piece():
        pass
    while settle():
        pass
    publisher.once()
    held = stores.documents("dev")[key_document(keys[0].hash)]
    assert (held.rev, decode_key(held.body).status, decode_key(held.body).rev) == (3, KeyStatus.REVOKED, 3)


def test_the_command(stores, publisher, keys):
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("republish", *arguments, stdout=out)
        return out.getvalue()

    told = json.loads(run("--env", "dev", "--json"))
    assert told == {"id": told["id"], "env": "dev", "status": "running", "done": 0, "total": 8}
    with pytest.raises(CommandError, match="anew already"):
        run("--env", "dev")
    assert run("--env", "dev", "--stop") == "Stopped after 0 of 8 documents.\n"
    with pytest.raises(CommandError, match="Nothing is being published anew"):
        run("--env", "dev", "--stop")
    assert "8 documents of dev are published anew" in run("--env", "dev")
    with pytest.raises(CommandError, match="invalid choice"):
        run("--env", "mars")


def test_republishing_does_not_need_what_changed_meanwhile(stores, publisher, keys):
    """The same content rendered again after everything was raised is no change."""
    start_republish(env="dev", by=SOMEBODY)
    publisher.once()
    publish_again("key", keys[0].id)
    assert publisher.once().published == 0
