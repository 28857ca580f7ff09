"""Backups of namespaces: a restore equals its source, and brings back nothing that was taken away since."""

from __future__ import annotations

import gzip
import json
import os
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from changes.actor import Actor
from changes.models import AuditEvent, OutboxRow
from publishing import leases
from publishing.backup.files import Reading, Writing
from publishing.backup.making import back_up, backups_of, is_due
from publishing.backup.patience import Patience
from publishing.backup.restoring import restore
from publishing.errors import BackupError
from publishing.models import KvEntry, KvVersion, Reconciliation
from publishing.reconcile.run import reconcile
from publishing.tasks import back_up_stores
from tenants.actions.keys import disable_key, revoke_key
from tenants.models import ApiKey
from tests.publishing.places import Place
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document, missing_document
from wire.kv.base import Entry, StoreUnavailableError, digest_of
from wire.kv.stores import Kind

JOB = Actor.system("tests")
MISSING = missing_document("openai", "gpt-99")


@pytest.fixture(autouse=True)
def folder(tmp_path, settings) -> Path:
    settings.KV_BACKUPS = tmp_path / "backups"
    return settings.KV_BACKUPS


@pytest.fixture
def tenant(db):
    return make_tenant()


@pytest.fixture
def keys(tenant) -> list[ApiKey]:
    return [issue(tenant, f"bot {number}").key for number in range(5)]


@pytest.fixture
def source(place, publisher, keys) -> Place:
    """A namespace with a life behind it: revs above 1, a deletion, a gateway's flag, bytes that are no text."""
    publisher.once()
    disable_key(key=keys[0], by=SOMEBODY)
    revoke_key(key=keys[1], by=SOMEBODY)
    publisher.once()
    ApiKey._base_manager.filter(pk=keys[1].pk).update(revoked_at=timezone.now() - timedelta(days=2))
    OutboxRow.objects.update(due_at=timezone.now())
    publisher.once()
    place.put(MISSING, 1, b'{"schema":1,"env":"dev"}')
    place.put("missing:openai:bytes", 1, b"\xff\x00not text")
    place.let_listing_settle()
    return place


def document(key: ApiKey) -> str:
    return key_document(key.hash)


def status_in(place: Place, key: ApiKey) -> str:
    held = place.documents().get(document(key))
    return "absent" if held is None or held.body is None else decode_key(held.body).status.value


def test_a_restore_into_an_empty_namespace_equals_the_source(source, publisher, keys):
    before = source.documents()
    assert any(entry.rev > 1 for entry in before.values())
    assert {MISSING, "meta:env", document(keys[0])} <= before.keys()
    remembered = {key for key, entry in before.items() if entry.deleted}
    assert remembered == (set() if source.store.kind is Kind.CLOUDFLARE else {document(keys[1])})
    made = back_up(source.store)
    assert (made.documents, made.deletions) == (len(before) - len(remembered), len(remembered))
    source.empty()
    assert source.documents() == {}
    done = restore(made.path, source.store, by=JOB)
    assert (done.written, done.outdated, done.kept) == (len(before), 0, 0)
    assert source.documents() == before, "key, rev, digest, body and deletions"
    row = reconcile(source.store, by=JOB)
    assert (row.status, row.absent + row.different + row.foreign) == ("clean", 0)
    publisher.once()  # finds a store that is not the one it knows, and repeats what that holds
    assert source.documents() == before
    event = AuditEvent.objects.get(kind="kv_namespace.restored")
    assert event.after["file"] == made.path.name


def test_a_backup_is_a_private_file_that_tells_what_it_is(source, folder):
    made = back_up(source.store)
    assert made.path.parent == folder
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [made.path.name], "nothing else is left behind"
    lines = gzip.decompress(made.path.read_bytes()).splitlines()
    header, trailer = json.loads(lines[0]), json.loads(lines[-1])
    assert (header["schema"], header["env"], header["store"]) == (1, "dev", source.store.id)
    assert header["count"] == trailer["count"] == len(lines) - 2 == made.documents + made.deletions
    assert datetime.fromisoformat(header["made_at"]) <= datetime.now(UTC)
    assert b"so_dev_" not in gzip.decompress(made.path.read_bytes()), "no key is in it, only hashes"


def test_an_older_backup_brings_no_revoked_key_back(source, publisher, keys):
    """Not for a moment: what SQL has said something newer of is left out, and comes from the publisher."""
    made = back_up(source.store)
    revoke_key(key=keys[2], by=SOMEBODY)
    disable_key(key=keys[3], by=SOMEBODY)
    publisher.once()
    source.empty()
    done = restore(made.path, source.store, by=JOB)
    assert done.outdated == 2
    assert (status_in(source, keys[2]), status_in(source, keys[3])) == ("absent", "absent")
    assert status_in(source, keys[4]) == "active"
    source.let_listing_settle()
    row = reconcile(source.store, by=JOB)
    assert (row.status, row.absent) == ("repaired", 2)
    publisher.once()
    assert (status_in(source, keys[2]), status_in(source, keys[3])) == ("revoked", "disabled")


def test_a_key_that_is_revoked_in_sql_stays_dead_even_when_the_ledger_was_lost(source, publisher, keys):
    made = back_up(source.store)
    revoke_key(key=keys[2], by=SOMEBODY)
    KvEntry.objects.filter(key=document(keys[2])).delete()
    OutboxRow.objects.all().delete()
    source.empty()
    assert restore(made.path, source.store, by=JOB).outdated == 1
    assert status_in(source, keys[2]) == "absent"
    source.let_listing_settle()
    reconcile(source.store, by=JOB)
    publisher.once()
    publisher.once()
    assert status_in(source, keys[2]) == "revoked"


def test_without_sql_gateways_have_their_policy_back_and_nothing_is_deleted(stores, publisher, keys, capsys):
    """SQL and KV are lost both, and KV comes back first, on an installation that is new."""
    publisher.once()
    place = Place(stores.of("dev"))
    before = place.documents()
    made = back_up(place.store)
    place.empty()
    for model in (KvEntry, KvVersion, OutboxRow):
        model.objects.all().delete()
    ApiKey._base_manager.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM tenants_project")
        cursor.execute("DELETE FROM tenants_tenant")
    with pytest.raises(CommandError, match="SQL knows of no document at all"):
        call_command("kv_restore", str(made.path), "--env", "dev")
    assert place.documents() == before
    assert publisher.once().published == 0
    assert place.documents() == before


def test_a_key_that_was_deleted_since_stays_deleted(source, publisher, keys):
    made = back_up(source.store)
    revoke_key(key=keys[2], by=SOMEBODY)
    ApiKey._base_manager.filter(pk=keys[2].pk).update(revoked_at=timezone.now() - timedelta(days=2))
    OutboxRow.objects.update(due_at=timezone.now())
    publisher.once()
    source.empty()
    restore(made.path, source.store, by=JOB)
    assert status_in(source, keys[2]) == "absent"
    source.let_listing_settle()
    reconcile(source.store, by=JOB)
    publisher.once()
    assert status_in(source, keys[2]) == "absent"


def test_a_namespace_that_holds_something_needs_force_and_keeps_what_is_newer(source, publisher, keys, tenant):
    made = back_up(source.store)
    disable_key(key=keys[2], by=SOMEBODY)
    new = issue(tenant, "since then").key
    publisher.once()
    before = source.documents()
    with pytest.raises(BackupError, match=r"is not empty: nothing was restored\. With --force"):
        restore(made.path, source.store, by=JOB)
    assert source.documents() == before
    source.remove(MISSING)
    done = restore(made.path, source.store, by=JOB, force=True)
    assert done.outdated == 1
    assert source.documents() == before, "the flag is back, and nothing went to an older rev"
    assert (status_in(source, keys[2]), status_in(source, new)) == ("disabled", "active")


def test_without_sql_saying_anything_an_older_document_still_never_replaces_a_newer_one(source, keys):
    made = back_up(source.store)
    source.put(MISSING, 7, b'{"newer":true}')
    assert restore(made.path, source.store, by=JOB, force=True).kept >= 1
    assert source.documents()[MISSING].rev == 7


def test_a_backup_of_another_environment_is_refused(source, stores, publisher):
    made = back_up(stores.of("prod"))
    source.empty()
    with pytest.raises(BackupError, match="is a backup of prod and would go into dev: nothing was restored"):
        restore(made.path, source.store, by=JOB)
    assert source.documents() == {}


def test_a_namespace_of_another_environment_is_not_backed_up(source, folder):
    source.put("meta:env", 1, b'{"schema":1,"env":"prod"}')
    with pytest.raises(BackupError, match="belongs to prod"):
        back_up(source.store)
    assert list(folder.iterdir()) == []


def test_an_empty_namespace_is_not_backed_up(stores, db):
    with pytest.raises(BackupError, match="is empty: there is nothing to back up"):
        back_up(stores.of("dev"))


@pytest.fixture
def backup(stores, publisher, keys) -> Path:
    publisher.once()
    return back_up(stores.of("dev")).path


def spoiled(path: Path, change) -> Path:
    """The same backup with its text changed."""
    changed = path.with_name("spoiled.jsonl.gz")
    changed.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))
    return changed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text[: text.rindex(b"\n", 0, -1) + 1], "its end is missing"),
        (lambda text: text[:200], "its end is missing"),
        (lambda text: text.replace(b"project", b"PROJECT", 1), "does not fit its checksum"),
        (lambda text: text.replace(b'"rev":1', b'"rev":9', 1), "does not fit its checksum"),
        (lambda text: text.replace(b'"env":"dev"', b'"env":"prod"', 1), "does not fit its checksum"),
        (lambda text: text.replace(b'{"key":', b'{"kex":', 1), "one of its lines cannot be read"),
        (lambda text: text + text, "one of its lines cannot be read"),
        (lambda text: b"", "is no backup of a KV namespace"),
        (lambda text: b'{"some":"json"}\n', "is no backup of a KV namespace"),
        (lambda text: text.replace(b'"schema":1', b'"schema":2', 1), "is of form 2, and this version reads form 1"),
    ],
)
def test_a_file_that_is_not_whole_is_not_restored(backup, stores, change, why):
    place = Place(stores.of("dev"))
    place.empty()
    with pytest.raises(BackupError, match=why):
        restore(spoiled(backup, change), place.store, by=JOB)
    assert place.documents() == {}


def test_a_file_that_was_cut_or_is_no_gzip_is_not_restored(backup, stores, tmp_path):
    place = Place(stores.of("dev"))
    place.empty()
    whole = backup.read_bytes()
    for kept in (len(whole) - 1, len(whole) // 2, 30, 3):
        backup.write_bytes(whole[:kept])
        with pytest.raises(BackupError, match=r"is not whole|is no backup"):
            restore(backup, place.store, by=JOB)
    backup.write_bytes(b"hello")
    with pytest.raises(BackupError, match="is not whole"):
        restore(backup, place.store, by=JOB)
    with pytest.raises(BackupError, match="cannot be read"):
        restore(tmp_path / "nothing", place.store, by=JOB)
    assert place.documents() == {}


KILLED = """
import os, signal, sys
from pathlib import Path
from publishing.backup.files import Writing
from wire.kv.base import Entry, digest_of
with Writing(Path(sys.argv[1])) as writing:
    for number in range(100_000):
        writing.add(Entry(f"key:{number}", 1, "d", os.urandom(300)))
        if number == 50_000:
            print("now", flush=True)
            signal.pause()
"""


def test_a_killed_backup_leaves_nothing_that_a_restore_would_take(folder, stores, publisher, keys):
    publisher.once()
    folder.mkdir(parents=True)
    store = stores.of("dev")
    name = back_up(store).path.name.replace("20", "19", 1)
    path = folder / name
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
    assert not path.exists()
    (left,) = [each for each in folder.iterdir() if each.name.startswith(".")]
    assert len(backups_of(store, folder)) == 1
    with pytest.raises(BackupError, match=r"is no backup|is not whole"):
        restore(left, store, by=JOB)
    back_up(store)
    assert left.exists(), "it may be another one's that is at work"
    old = time.time() - 2 * 86_400
    os.utime(left, (old, old))
    back_up(store)
    assert not left.exists()


def test_a_backup_that_fails_leaves_nothing(tmp_path):
    path = tmp_path / "backup.jsonl.gz"

    def fail() -> None:
        with Writing(path) as writing:
            writing.add(Entry("key:1", 1, digest_of(b"x"), b"x"))
            raise StoreUnavailableError("away")

    with pytest.raises(StoreUnavailableError):
        fail()
    assert list(tmp_path.iterdir()) == [tmp_path / "backups"] or list(tmp_path.iterdir()) == []


def test_the_newest_backups_are_kept(stores, publisher, keys, settings, folder):
    settings.KV_BACKUPS_KEPT = 3
    publisher.once()
    dev, prod = stores.of("dev"), stores.of("prod")
    back_up(prod)
    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False) as clock:
        made = []
        for _ in range(5):
            clock.shift(timedelta(days=7))
            made.append(back_up(dev).path)
    assert [path for _, path in backups_of(dev, folder)] == made[:1:-1]
    assert len(backups_of(prod, folder)) == 1, "each namespace counts for itself"


def test_in_a_folder_of_ones_own_nothing_is_deleted(stores, publisher, keys, settings, tmp_path):
    settings.KV_BACKUPS_KEPT = 1
    publisher.once()
    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False) as clock:
        for _ in range(3):
            clock.shift(timedelta(days=1))
            back_up(stores.of("dev"), folder=tmp_path / "mine")
    assert len(list((tmp_path / "mine").iterdir())) == 3


def test_the_schedule_makes_one_a_week_and_catches_up_after_a_pause(stores, publisher, keys, folder):
    publisher.once()
    begin = datetime(2027, 1, 1, tzinfo=UTC)
    with time_machine.travel(begin, tick=False) as clock:
        for hours, count in ((0, 1), (1, 1), (6 * 24, 1), (25, 2), (1, 2), (30 * 24, 3), (1, 3)):
            clock.shift(timedelta(hours=hours))
            back_up_stores()
            assert len(backups_of(stores.of("dev"), folder)) == count
            assert not is_due(stores.of("dev"))


def test_a_store_that_fails_does_not_keep_the_others_from_their_backup(stores, publisher, keys, folder):
    publisher.once()
    Place(stores.of("dev")).put("meta:env", 1, b'{"schema":1,"env":"prod"}')
    back_up_stores()
    assert backups_of(stores.of("dev"), folder) == []
    assert len(backups_of(stores.of("prod"), folder)) == 1


def test_the_publisher_waits_while_a_namespace_is_restored(stores, backup, monkeypatch):
    place = Place(stores.of("dev"))
    place.empty()
    leases.acquire("dev embedded", "a publisher")
    monkeypatch.setattr("publishing.backup.restoring.WAITS_FOR_PUBLISHER", 0.2)
    with pytest.raises(BackupError, match="A publisher is writing"):
        restore(backup, place.store, by=JOB)
    assert place.documents() == {}
    leases.release("dev embedded", "a publisher")
    restore(backup, place.store, by=JOB)
    assert leases.acquire("dev embedded", "a publisher"), "the lease was given back"


def test_a_store_that_names_a_pause_is_asked_again_after_it(monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr("publishing.backup.patience.time.sleep", slept.append)
    answers = iter([StoreUnavailableError("later", retry_after=300), "there"])

    def ask():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    patience = Patience(400)
    assert patience.ask(ask) == "there"
    assert slept == [300]
    answers = iter([StoreUnavailableError("later", retry_after=300)])
    with pytest.raises(StoreUnavailableError):
        patience.ask(ask)


def test_many_documents_are_read_and_written_in_pieces(stores, publisher, tenant, monkeypatch):
    monkeypatch.setattr("publishing.backup.making.PIECE", 3)
    for number in range(10):
        issue(tenant, f"bot {number}")
    publisher.once()
    place = Place(stores.of("dev"))
    before = place.documents()
    made = back_up(place.store)
    with Reading(made.path) as reading:
        assert [entry.key for entry in reading.entries()] == sorted(before)
    place.empty()
    monkeypatch.setattr("publishing.namespace.Namespace.batch", 2, raising=False)
    restore(made.path, place.store, by=JOB)
    assert place.documents() == before


def test_the_commands_back_up_restore_and_compare(stores, publisher, keys, capsys, folder, tmp_path):
    publisher.once()
    call_command("kv_backup", "--json")
    made = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["env"] for each in made] == ["dev", "prod"]
    call_command("kv_backup", "--env", "dev", "--to", str(tmp_path / "mine"))
    assert "dev embedded: 7 documents and 0 deletions in" in capsys.readouterr().out
    place = Place(stores.of("dev"))
    with pytest.raises(CommandError, match="not empty"):
        call_command("kv_restore", made[0]["path"], "--env", "dev")
    with pytest.raises(CommandError, match="backup of dev and would go into prod"):
        call_command("kv_restore", made[0]["path"], "--env", "prod")
    place.empty()
    revoke_key(key=keys[0], by=SOMEBODY)
    capsys.readouterr()
    call_command("kv_restore", made[0]["path"], "--env", "dev")
    told = capsys.readouterr().out
    assert "6 documents and deletions restored, 1 left out" in told
    assert "manage.py reconcile --env dev --store embedded" in told
    assert Reconciliation.objects.filter(env="dev").exists()
    publisher.once()
    assert status_in(place, keys[0]) == KeyStatus.REVOKED
    place.empty()
    call_command("kv_restore", made[0]["path"], "--env", "dev", "--json")
    assert json.loads(capsys.readouterr().out)["written"] == 6
