"""Reconciling: every kind of drift is found and repaired by the publisher; nothing else is touched."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from changes.actor import Actor
from changes.models import AuditEvent, OutboxRow
from publishing import leases
from publishing.actions.reconcile import confirm_reconciliation
from publishing.errors import NotHeldError, ReconcileBusyError
from publishing.models import KvEntry, Reconciliation
from publishing.reconcile.run import reconcile
from publishing.tasks import reconcile_stores, repair_confirmed
from tenants.actions.keys import disable_key, revoke_key
from tenants.models import ApiKey
from tests.publishing.faults import raising
from tests.publishing.places import Place
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyStatus, decode_key, key_document, missing_document, tenant_document
from wire.kv.base import StoreUnavailableError, digest_of
from wire.kv.stores import Kind

JOB = Actor.system("tests")
OTHERS = {
    missing_document("openai", "gpt-99"): b'{"schema":1}',
    "routes:blob": b'{"of":"another time"}',
    "kez": b"a neighbour by name",
    "key;": b"a neighbour by name",
}


@pytest.fixture
def tenant(db):
    return make_tenant()


@pytest.fixture
def keys(tenant) -> list[str]:
    """Five keys of dev, as documents; the names of others' documents stand beside them."""
    return [key_document(issue(tenant, f"bot {number}").key.hash) for number in range(5)]


@pytest.fixture
def published(place: Place, publisher, keys) -> Place:
    """A namespace that says what SQL says, and holds documents of others, too."""
    publisher.once()
    for key, body in OTHERS.items():
        place.put(key, 1, body)
    place.let_listing_settle()
    return place


def run(place: Place, **how) -> Reconciliation:
    return reconcile(place.store, by=JOB, **how)


def repaired(place: Place, publisher, **how) -> Reconciliation:
    """Compare, let the publisher send what that asks for, and see that a second look finds nothing more."""
    row = run(place, **how)
    publisher.once()
    place.let_listing_settle()
    again = run(place)
    assert (again.status, again.absent + again.different + again.foreign) == ("clean", 0), again.examples
    others = {key: entry.body for key, entry in place.documents().items() if key in OTHERS}
    assert others == OTHERS, "what is not ours was touched"
    return row


def strangers(count: int, begins: int = 0) -> list[str]:
    """Keys that SQL has never heard of."""
    return [key_document(f"{number:064x}") for number in range(begins, begins + count)]


def says_what_sql_says(place: Place) -> None:
    held = {key: entry for key, entry in place.documents().items() if not entry.deleted and key not in OTHERS}
    del held["meta:env"]
    rows = KvEntry.objects.filter(env="dev", store=place.store.id).exclude(body=None)
    assert {key: (each.rev, each.body) for key, each in held.items()} == {
        row.key: (row.rev, bytes(row.body)) for row in rows
    }


def test_a_store_that_says_what_sql_says_is_clean(published):
    row = run(published)
    assert (row.status, row.checked, row.absent, row.different, row.foreign) == ("clean", 6, 0, 0, 0)
    assert not AuditEvent.objects.filter(kind__startswith="kv_namespace.").exists()


def test_every_kind_of_drift_is_repaired(published, publisher, keys, tenant):
    """Missing, older, changed at the same rev, newer, and unknown to SQL, all at once."""
    held = published.documents()
    stranger = key_document("f" * 64)
    published.remove(keys[0])
    older = json.loads(held[keys[1]].body) | {"rev": 0}
    published.put(keys[1], 0, json.dumps(older).encode())
    published.put(keys[2], 1, held[keys[2]].body + b" ")
    published.put(keys[3], 7, held[keys[3]].body + b" ")
    published.put(stranger, 3, held[keys[0]].body)
    row = repaired(published, publisher)
    assert (row.status, row.absent, row.different, row.foreign) == ("repaired", 1, 3, 1)
    says_what_sql_says(published)
    after = published.documents()
    assert after[keys[3]].rev == 8, "the newer rev was gone past"
    assert stranger not in after or (after[stranger].deleted, after[stranger].rev) == (True, 4)
    assert {each["key"]: each["what"] for each in row.examples} == {
        keys[0]: "missing in the store",
        keys[1]: "an older rev in the store",
        keys[2]: "other content in the store",
        keys[3]: "a newer rev in the store",
        stranger: "in the store, and SQL knows nothing of it",
    }
    event = AuditEvent.objects.get(kind="kv_namespace.repaired")
    assert (event.after["absent"], event.after["different"], event.after["foreign"]) == (1, 3, 1)
    assert KvEntry.objects.get(key=stranger).why == event.id


def test_a_deleted_document_that_came_back_is_deleted_again(published, publisher, tenant, keys):
    key = ApiKey._base_manager.get(hash=keys[0].removeprefix("key:"))
    body = published.documents()[keys[0]].body
    revoke_key(key=key, by=SOMEBODY)
    ApiKey._base_manager.filter(pk=key.pk).update(revoked_at=timezone.now() - timedelta(days=2))
    OutboxRow.objects.update(due_at=timezone.now())
    publisher.once()
    published.let_listing_settle()
    for rev in (1, 9):
        published.put(keys[0], rev, body)
        row = repaired(published, publisher)
        assert (row.status, row.different) == ("repaired", 1)
        assert row.examples[0]["what"] == "deleted, and still in the store"
        assert keys[0] not in published.documents() or published.documents()[keys[0]].deleted


def test_a_change_whose_outbox_row_was_lost_is_found(published, publisher, keys, tenant):
    """Disabled, newly made and deleted in SQL, and nobody told the publisher."""
    ApiKey._base_manager.filter(hash=keys[0].removeprefix("key:")).update(status="disabled")
    ApiKey._base_manager.filter(hash=keys[1].removeprefix("key:")).delete()
    new = key_document(issue(tenant, "never told").key.hash)
    OutboxRow.objects.all().delete()
    row = repaired(published, publisher)
    assert (row.status, row.different, row.foreign) == ("repaired", 2, 1)
    held = published.documents()
    assert decode_key(held[keys[0]].body).status is KeyStatus.DISABLED
    assert keys[1] not in held or held[keys[1]].deleted
    assert decode_key(held[new].body).status is KeyStatus.ACTIVE


def test_what_is_still_to_be_published_is_no_drift(published, publisher, keys):
    key = ApiKey._base_manager.get(hash=keys[0].removeprefix("key:"))
    disable_key(key=key, by=SOMEBODY)
    assert run(published).status == "clean", "its outbox row waits"
    from publishing.desired import settle

    settle()
    assert run(published).status == "clean", "its entry waits"
    publisher.once()


def test_an_edit_while_the_store_is_listed_is_no_drift(published, publisher, stores, keys):
    key = ApiKey._base_manager.get(hash=keys[0].removeprefix("key:"))
    listings = []

    class Between:
        def __init__(self, kv) -> None:
            self._kv = kv

        def list(self, prefix: str, **how):
            page = self._kv.list(prefix, **how)
            if prefix == "key:":
                listings.append(prefix)
            if listings == ["key:"]:
                stores.opening = lambda kv: kv
                disable_key(key=key, by=SOMEBODY)
                publisher.once()
                published.let_listing_settle()
            return page

        def __getattr__(self, name: str):
            return getattr(self._kv, name)

    stores.opening = Between
    row = run(published)
    assert row.status == "clean"
    assert len(listings) == 2, "what looked like drift was looked at again"
    assert not OutboxRow.objects.filter(due_at__lte=timezone.now()).exists()
    assert decode_key(published.documents()[keys[0]].body).status is KeyStatus.DISABLED


def test_a_dry_run_writes_nothing(published, keys, publisher):
    published.remove(keys[0])
    published.put(key_document("f" * 64), 3, b"{}")
    before = (published.documents(), list(KvEntry.objects.order_by("pk").values()), AuditEvent.objects.count())
    row = run(published, dry=True)
    assert (row.status, row.absent, row.foreign, row.confirmation) == ("dry", 1, 1, "")
    assert before == (published.documents(), list(KvEntry.objects.order_by("pk").values()), AuditEvent.objects.count())
    assert not OutboxRow.objects.filter(due_at__lte=timezone.now()).exists()
    assert publisher.once().published == 0


def test_mass_deletion_waits_for_the_code_of_exactly_these_differences(published, publisher, keys):
    published.put_all(strangers(25), 2, b"{}")
    row = run(published)
    assert (row.status, row.foreign) == ("held", 25)
    assert "25 of the store's 31 documents would be deleted" in row.error
    assert publisher.once().published == 0
    published.put(key_document("e" * 64), 2, b"{}")
    other = run(published, confirm=row.confirmation)
    assert other.status == "held"
    assert "not what was confirmed" in other.error
    assert other.confirmation != row.confirmation
    assert publisher.once().published == 0, "nothing was done"
    done = repaired(published, publisher, confirm=other.confirmation)
    assert (done.status, done.foreign) == ("repaired", 26)
    says_what_sql_says(published)


def test_a_held_repair_is_confirmed_on_the_page_and_then_done(published, publisher, keys):
    published.put_all(strangers(25), 2, b"{}")
    row = run(published)
    reconcile_stores()
    assert AuditEvent.objects.filter(kind="kv_namespace.held").count() == 1, "the same again is not told again"
    repair_confirmed()
    assert publisher.once().published == 0
    confirm_reconciliation(reconciliation=row, by=SOMEBODY)
    event = AuditEvent.objects.get(kind="kv_namespace.confirmed")
    assert (event.actor_id, event.after["confirmation"]) == (SOMEBODY.id, row.confirmation)
    repair_confirmed()
    assert publisher.once().published == 25
    published.let_listing_settle()
    reconcile_stores()
    assert set(Reconciliation.objects.order_by("-id").values_list("status", flat=True)[:2]) == {"clean"}
    with pytest.raises(NotHeldError, match="not held any more"):
        confirm_reconciliation(reconciliation=row, by=SOMEBODY)


def test_a_confirmation_fits_nothing_that_comes_later(published, publisher, keys):
    for begins in (0, 1000):
        published.put_all(strangers(25, begins), 2, b"{}")
        row = run(published)
        assert row.status == "held"
        confirm_reconciliation(reconciliation=row, by=SOMEBODY)
        published.put(strangers(1, begins + 100)[0], 2, b"{}")
        repair_confirmed()
        assert publisher.once().published == 0, "the differences are other ones by now"
        repaired(published, publisher, confirm=Reconciliation.objects.latest("id").confirmation)


def test_a_confirmation_waits_while_the_store_is_away(stores, publisher, keys):
    publisher.once()
    place = Place(stores.of("dev"))
    place.put_all(strangers(25), 2, b"{}")
    row = run(place)
    confirm_reconciliation(reconciliation=row, by=SOMEBODY)

    def away(kv):
        kv.close()
        raise StoreUnavailableError("away")

    stores.opening = away
    for _ in range(3):
        repair_confirmed()
    assert Reconciliation.objects.filter(status="failed").count() == 1, "it is not asked all the time"
    stores.opening = lambda kv: kv
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        repair_confirmed()
    assert Reconciliation.objects.latest("id").status == "repaired"


def test_an_empty_sql_never_empties_a_store(published, publisher):
    ApiKey._base_manager.all().delete()
    KvEntry.objects.all().delete()
    connection.cursor().execute("DELETE FROM tenants_project")
    connection.cursor().execute("DELETE FROM tenants_tenant")
    row = run(published)
    assert row.status == "held"
    assert "SQL knows of no document at all" in row.error
    assert publisher.once().published == 0


def test_what_sql_has_is_rendered_and_not_deleted_when_the_ledger_was_lost(published, publisher, keys):
    """The ledger's rows are gone, the objects are there: nothing is foreign."""
    KvEntry.objects.filter(env="dev").delete()
    row = run(published)
    assert (row.status, row.different, row.foreign) == ("repaired", 6, 0)
    publisher.once()
    publisher.once()
    published.let_listing_settle()
    assert run(published).status == "clean"
    assert set(keys) <= {key for key, entry in published.documents().items() if not entry.deleted}


def test_a_key_that_is_revoked_in_the_store_does_not_work_again_unasked(published, publisher, keys):
    """As after SQL was restored from a backup that is older than the revocation."""
    held = published.documents()[keys[0]]
    body = json.loads(held.body) | {"rev": 5, "status": "revoked"}
    published.put(keys[0], 5, json.dumps(body).encode())
    row = run(published)
    assert row.status == "held"
    assert "would work again" in row.error
    assert publisher.once().published == 0
    assert repaired(published, publisher, confirm=row.confirmation).status == "repaired"
    assert published.documents()[keys[0]].rev == 6


def test_sql_that_was_set_back_is_not_put_in_the_place_of_newer_documents(published, publisher, tenant):
    for number in range(25):
        issue(tenant, f"later {number}")
    publisher.once()
    published.let_listing_settle()
    for key, held in published.documents().items():
        if key.startswith("key:"):
            published.put(key, 9, json.dumps(json.loads(held.body) | {"rev": 9}).encode())
    row = run(published)
    assert (row.status, row.different) == ("held", 30)
    assert "SQL may have been set back" in row.error


def test_an_emptied_store_is_filled_again(published, publisher, keys):
    for key in published.documents().keys() - OTHERS.keys():
        published.remove(key)
    row = run(published)
    assert (row.status, row.absent) == ("repaired", 6)
    publisher.close()  # a publisher trusts what it saw of a far store for a minute
    publisher.once()
    published.let_listing_settle()
    assert run(published).status == "clean"
    says_what_sql_says(published)


def test_the_namespace_of_another_environment_is_not_compared(published, keys, publisher):
    published.put("meta:env", 1, b'{"schema":1,"env":"prod"}')
    published.remove(keys[0])
    row = run(published)
    assert (row.status, row.absent) == ("failed", 0)
    assert "belongs to prod" in row.error
    assert publisher.once().published == 0


def test_a_store_that_cannot_be_listed_whole_repairs_nothing(published, stores, keys, publisher):
    published.remove(keys[0])

    class Between:
        def __init__(self, kv) -> None:
            self._kv = kv

        def list(self, prefix: str, **how):
            if prefix == "tenant:":
                raising(StoreUnavailableError("the store is away"))()
            return self._kv.list(prefix, **how)

        def __getattr__(self, name: str):
            return getattr(self._kv, name)

    stores.opening = Between
    row = run(published)
    assert (row.status, row.absent, row.error) == ("failed", 0, "the store is away")
    stores.opening = lambda kv: kv
    assert publisher.once().published == 0


def test_only_one_run_compares_a_store_at_a_time(published, stores):
    leases.acquire(f"check dev {published.store.id}", "another run")
    with pytest.raises(ReconcileBusyError, match="Another run"):
        run(published)
    leases.release(f"check dev {published.store.id}", "another run")
    assert run(published).status == "clean"


def test_a_far_listing_that_is_behind_is_no_drift(stores, publisher, keys, cloudflare):
    """Cloudflare's listings tell of a write up to a minute later."""
    stores.name({"dev": [stores.cloudflare("dev", cloudflare)]})
    place = Place(stores.of("dev"))
    far = stores.publisher()
    far.once()
    far.close()
    place.remove(keys[0])
    assert run(place).status == "clean", "it was written a moment ago"
    place.let_listing_settle()
    assert run(place).absent == 1


def test_pieces_meet_at_their_seams(published, publisher, keys, monkeypatch):
    """Small pieces find what large ones find, in either stream and at any place."""
    held = published.documents()
    for piece in (1, 2, 3):
        monkeypatch.setattr("publishing.reconcile.looking.PIECE", piece)
        monkeypatch.setattr("publishing.reconcile.repair.PIECE", piece)
        published.remove(sorted(keys)[0])
        published.remove(sorted(keys)[4])
        published.put(key_document(f"{piece:064}"), 4, held[keys[0]].body)
        published.put(key_document(f"{piece}".rjust(64, "f")), 4, held[keys[0]].body)
        row = repaired(published, publisher)
        assert (row.absent, row.foreign) == (2, 2)


def test_queries_do_not_grow_with_each_document(db, stores, publisher, tenant):
    def queries() -> int:
        publisher.once()
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert run(Place(stores.of("dev"))).status == "clean"
        return len(captured)

    issue(tenant, "first")
    few = queries()
    for number in range(40):
        issue(tenant, f"bot {number}")
    assert queries() <= few


def test_the_schedule_compares_every_store_and_forgets_old_results(db, stores, publisher, tenant):
    publisher.once()
    with transaction.atomic():
        Reconciliation.objects.create(
            env="dev", store="embedded", status="clean", at=timezone.now() - timedelta(days=91)
        )
    stores.name({"dev": [stores.embedded("dev"), stores.embedded("dev", "second")]})
    everywhere = stores.publisher()
    everywhere.once()
    everywhere.close()
    reconcile_stores()
    rows = Reconciliation.objects.order_by("id").values_list("env", "store", "status")
    assert list(rows) == [("dev", "embedded", "clean"), ("dev", "second", "clean"), ("prod", "embedded", "clean")]


def test_the_command_says_what_differs(stores, publisher, keys, capsys):
    publisher.once()
    place = Place(stores.of("dev"))
    place.remove(keys[0])
    call_command("reconcile", "--env", "dev", "--dry-run")
    assert f"1 missing, 0 different, 0 foreign. Nothing was repaired, as asked.\n  {keys[0]}" in capsys.readouterr().out
    call_command("reconcile", "--env", "dev", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["absent"]) == ("repaired", 1)
    publisher.once()
    call_command("reconcile", "--env", "dev")
    assert "all are what SQL says" in capsys.readouterr().out


def test_the_command_fails_when_something_is_held(stores, publisher, keys, capsys):
    publisher.once()
    place = Place(stores.of("dev"))
    place.put_all(strangers(25), 2, b"{}")
    with pytest.raises(CommandError, match="Not every store"):
        call_command("reconcile", "--env", "dev", "--json")
    code = json.loads(capsys.readouterr().out)["confirmation"]
    with pytest.raises(CommandError, match="Not every store"):
        call_command("reconcile", "--env", "dev", "--confirm", "0" * 24)
    assert "not what was confirmed" in capsys.readouterr().out
    call_command("reconcile", "--env", "dev", "--confirm", code)
    assert publisher.once().published == 25
    with pytest.raises(CommandError, match="no store 'nowhere' in dev"):
        call_command("reconcile", "--env", "dev", "--store", "nowhere")


def test_a_store_ahead_in_one_place_keeps_the_revs_of_all_places_alike(stores, publisher, keys, tenant):
    first, second = stores.embedded("dev"), stores.embedded("dev", "second")
    stores.name({"dev": [first, second]})
    everywhere = stores.publisher()
    everywhere.once()
    body = Place(first).documents()[keys[0]].body
    Place(second).put(keys[0], 8, body + b" ")
    reconcile(second, by=JOB)
    everywhere.once()
    found = [Place(store).documents()[keys[0]] for store in (first, second)]
    assert [(each.rev, each.digest) for each in found] == [(9, digest_of(found[0].body))] * 2
    assert Place(first).documents()[tenant_document(tenant.id)].rev == 1
    everywhere.close()


def test_kinds_of_stores_are_all_tried():
    """The fixture `place` knows every kind that the configuration can name."""
    assert set(Kind) == {Kind.EMBEDDED, Kind.REDIS, Kind.CLOUDFLARE}


def test_a_document_that_somebody_put_at_cloudflare_by_hand_is_replaced_or_deleted(stores, keys, cloudflare, publisher):
    """What their dashboard writes has none of our metadata."""
    stores.name({"dev": [stores.cloudflare("dev", cloudflare)]})
    place = Place(stores.of("dev"))
    far = stores.publisher()
    far.once()
    place.let_listing_settle()
    stranger = strangers(1)[0]
    for key in (keys[0], stranger):
        httpx.put(
            f"{place.store.address}/values/{quote(key, safe='')}",
            content=b'{"by":"hand"}',
            headers={"authorization": f"Bearer {cloudflare.token}"},
            timeout=10,
        ).raise_for_status()
    row = run(place)
    assert (row.status, row.different, row.foreign) == ("repaired", 1, 1)
    far.once()
    far.close()
    held = place.documents()
    assert decode_key(held[keys[0]].body).status is KeyStatus.ACTIVE
    assert stranger not in held
