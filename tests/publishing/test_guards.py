"""Guards: prices that look broken are not published, and a confirmation fits exactly what was held."""

from __future__ import annotations

import json

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from changes.models import AuditEvent
from changes.record import Publish, Topic, record
from publishing.actions.reconcile import confirm_publish
from publishing.actions.retry import retry_entry
from publishing.desired import settle
from publishing.errors import NotHeldError
from publishing.guards import hold_of_prices, why_not_repaired
from publishing.models import KvEntry
from publishing.queries.held import held_entries
from publishing.reconcile.run import reconcile
from publishing.republish import start_republish
from tenants.actions.keys import revoke_key
from tests.publishing.changing import change_key
from tests.publishing.places import Place
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import PRICING_BLOB, PRICING_VERSION, decode_key, key_document
from wire.prices import ModelPrices, PricingBlob, ProviderRules


def book(models: int, *, env: str = "dev", version: int = 1, rev: int = 1) -> PricingBlob:
    listed = {f"model-{number}": ModelPrices(periods=()) for number in range(models)}
    return PricingBlob(
        schema=1,
        rev=rev,
        env=env,
        version=version,
        source="tests",
        models={"openai": listed},
        providers={"openai": msgspec.convert({"rules": []}, ProviderRules)},
        order=("openai",),
    )


def body(models: int, **about) -> bytes:
    return msgspec.json.encode(book(models, **about))


@pytest.fixture
def prices(monkeypatch):
    """Sets how many models the price book has, and has it published anew."""

    def change(models: int) -> None:
        version = change.version = getattr(change, "version", 0) + 1

        def blob(*, env: str, rev: int) -> PricingBlob:
            return book(models, env=env, rev=rev, version=version)

        monkeypatch.setattr("publishing.render.pricing_blob", blob)
        with transaction.atomic():
            again = [Publish(Topic.PRICING, "blob")]
            record("test.prices", by=SOMEBODY, tenant="", target_kind="x", target_id="x", publish=again)

    return change


def models_in(place: Place) -> int:
    return len(msgspec.json.decode(place.documents()[PRICING_BLOB].body)["models"]["openai"])


def version_in(place: Place) -> int:
    return msgspec.json.decode(place.documents()[PRICING_VERSION].body)["version"]


@pytest.mark.parametrize(
    ("new", "old", "why"),
    [
        (b"", None, "cannot be read"),
        (None, None, "cannot be read"),
        (b"{", None, "cannot be read"),
        (b'{"schema":1,"rev":1,"env":"dev","version":1}', None, "cannot be read"),
        (body(3).replace(b'["openai"]', b'["nobody"]'), None, "cannot be read"),
        (body(0), None, "is empty"),
        (body(0), body(3), "is empty"),
        (body(3, env="prod"), None, "is that of prod, not of dev"),
        (body(89), body(100), "89 models where the published one has 100: 11 % fewer"),
    ],
)
def test_what_is_held(new, old, why):
    hold = hold_of_prices("dev", new, old)
    assert why in hold.reason
    assert bool(hold.code) is ("fewer" in why), "only what may be meant can be confirmed"


@pytest.mark.parametrize(
    ("new", "old"),
    [(body(1), None), (body(90), body(100)), (body(100), body(90)), (body(1), b"garbage"), (body(5), b"")],
)
def test_what_passes(new, old):
    assert hold_of_prices("dev", new, old) is None


def test_a_code_is_that_of_both_sides_and_of_no_rev():
    code = hold_of_prices("dev", body(50), body(100)).code
    assert code == hold_of_prices("dev", body(50, rev=9), body(100, rev=4)).code
    others = [
        hold_of_prices("dev", body(51), body(100)).code,
        hold_of_prices("dev", body(50), body(101)).code,
        hold_of_prices("dev", body(50, version=2), body(100)).code,
        hold_of_prices("prod", body(50, env="prod"), body(100)).code,
    ]
    assert code not in others
    assert f"manage.py confirm_publish --env dev {code}" in hold_of_prices("dev", body(50), body(100)).reason


def test_a_shrunken_price_book_waits_and_its_version_with_it(place, publisher, prices):
    prices(100)
    publisher.once()
    prices(60)
    publisher.once()
    assert (models_in(place), version_in(place)) == (100, 1)
    (entry,) = held_entries("dev")
    assert (entry.key, entry.parked, entry.published_rev, entry.rev) == (PRICING_BLOB, True, 1, 2)
    assert "60 models where the published one has 100" in entry.error
    for _ in range(2):
        assert publisher.once().published == 0
    assert confirm_publish(env="dev", code=entry.held, by=SOMEBODY) == 1
    publisher.once()
    assert (models_in(place), version_in(place)) == (60, 2)
    assert held_entries("dev") == []
    event = AuditEvent.objects.get(kind="kv_entry.confirmed")
    assert (event.actor_id, event.after["confirmation"]) == (SOMEBODY.id, entry.held)
    prices(59)
    publisher.once()
    assert models_in(place) == 59, "what follows is compared with what was confirmed"


def test_retrying_is_no_confirmation(place, publisher, prices):
    prices(100)
    publisher.once()
    prices(60)
    publisher.once()
    retry_entry(entry=held_entries("dev")[0], by=SOMEBODY)
    publisher.once()
    assert models_in(place) == 100
    assert len(held_entries("dev")) == 1


def test_a_confirmation_fits_no_other_prices(stores, publisher, prices):
    place = Place(stores.of("dev"))
    prices(100)
    publisher.once()
    prices(60)
    publisher.once()
    code = held_entries("dev")[0].held
    confirm_publish(env="dev", code=code, by=SOMEBODY)
    prices(50)
    publisher.once()
    assert models_in(place) == 100, "the prices are other ones by now"
    assert held_entries("dev")[0].held != code
    with pytest.raises(NotHeldError, match="Nothing of dev is held"):
        confirm_publish(env="dev", code=code, by=SOMEBODY)
    with pytest.raises(NotHeldError):
        confirm_publish(env="prod", code=held_entries("dev")[0].held, by=SOMEBODY)
    prices(95)
    publisher.once()
    assert models_in(place) == 95, "prices that came back need no confirmation"
    assert held_entries("dev") == []


def test_an_empty_price_book_is_never_published(stores, publisher, prices):
    place = Place(stores.of("dev"))
    prices(100)
    publisher.once()
    prices(0)
    publisher.once()
    entry = KvEntry.objects.get(env="dev", key=PRICING_BLOB)
    assert (models_in(place), entry.parked, entry.held) == (100, True, "")
    assert "is empty" in entry.error
    with pytest.raises(NotHeldError):
        confirm_publish(env="dev", code="", by=SOMEBODY)


def test_each_store_is_compared_with_what_it_holds(stores, publisher, prices):
    """One place took the confirmed prices, the other one was away: one confirmation is for both."""
    first, second = stores.embedded("dev"), stores.embedded("dev", "second")
    stores.name({"dev": [first, second]})
    everywhere = stores.publisher()
    prices(100)
    everywhere.once()
    prices(60)
    everywhere.once()
    held = held_entries("dev")
    assert [each.store for each in held] == [first.id, second.id]
    assert held[0].held == held[1].held
    assert confirm_publish(env="dev", code=held[0].held, by=SOMEBODY) == 2
    everywhere.once()
    assert (models_in(Place(first)), models_in(Place(second))) == (60, 60)
    everywhere.close()


def test_the_command_shows_what_is_held_and_confirms_it(stores, publisher, prices, capsys):
    prices(100)
    publisher.once()
    call_command("confirm_publish", "--env", "dev")
    assert capsys.readouterr().out == "Nothing is held in dev.\n"
    prices(60)
    publisher.once()
    call_command("confirm_publish", "--env", "dev", "--json")
    (held,) = json.loads(capsys.readouterr().out)["held"]
    assert (held["store"], held["key"]) == ("embedded", PRICING_BLOB)
    with pytest.raises(CommandError, match="Nothing of dev is held with the code 'wrong'"):
        call_command("confirm_publish", "--env", "dev", "wrong")
    call_command("confirm_publish", "--env", "dev", held["code"])
    assert "Confirmed" in capsys.readouterr().out
    publisher.once()
    assert models_in(Place(stores.of("dev"))) == 60


def reasons(**numbers) -> str:
    usual = {"in_sql": 1000, "in_store": 1000, "removed": 0, "ahead": 0, "revived": "", "confirmation": "c0de"}
    return why_not_repaired(**(usual | numbers))


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"removed": 51}, "51 of the store's 1,000 documents would be deleted"),
        ({"removed": 2, "in_store": 3, "in_sql": 1}, "2 of the store's 3 documents would be deleted"),
        ({"removed": 5, "in_sql": 0, "in_store": 5}, "SQL knows of no document at all"),
        ({"ahead": 51}, "The store is ahead of SQL with 51 documents"),
        ({"revived": "key:1"}, "key:1 is revoked or deleted in the store"),
    ],
)
def test_a_repair_that_looks_like_a_mistake_waits(numbers, why):
    assert why in reasons(**numbers)
    assert reasons(**numbers).endswith("confirm exactly these differences: c0de")


@pytest.mark.parametrize(
    "numbers",
    [{}, {"removed": 50}, {"removed": 20, "in_store": 100}, {"ahead": 50}, {"in_sql": 5, "in_store": 0}],
)
def test_a_usual_repair_does_not_wait(numbers):
    assert reasons(**numbers) == ""


@pytest.fixture
def key():
    return issue(make_tenant()).key


@pytest.fixture
def revoked_in_the_store(place, publisher, key):
    """The store says that the key is revoked, and SQL was set back to before that."""
    publisher.once()
    document = key_document(key.hash)
    body = json.loads(place.documents()[document].body)
    place.put(document, 3, json.dumps(body | {"rev": 3, "status": "revoked"}).encode())
    return place


def status_in(place: Place, key) -> str:
    held = place.documents()[key_document(key.hash)]
    return "deleted" if held.body is None else decode_key(held.body).status.value


READABLE = pytest.mark.parametrize("place", ["embedded", "redis"], indirect=True)
EVERYTHING_ANEW = {"republish": lambda key: start_republish(env="dev", by=SOMEBODY)}
EDITS = {
    f"{number} edits": lambda key, number=number: [change_key(key, rpm=rpm + 1) or settle() for rpm in range(number)]
    for number in (1, 2, 3)
}


@READABLE
@pytest.mark.parametrize("again", [*EVERYTHING_ANEW.values(), *EDITS.values()], ids=[*EVERYTHING_ANEW, *EDITS])
def test_a_key_that_is_revoked_in_the_store_works_again_by_a_persons_word_only(
    revoked_in_the_store, publisher, key, again
):
    place = revoked_in_the_store
    again(key)
    for _ in range(3):
        publisher.once()
        assert status_in(place, key) == "revoked"
        retry_entry(entry=KvEntry.objects.get(key=key_document(key.hash)), by=SOMEBODY)
    publisher.once()
    (entry,) = held_entries("dev")
    assert (entry.key, entry.parked) == (key_document(key.hash), True)
    assert "The store says that this key is revoked, at rev 3, and it would work again" in entry.error
    assert f"manage.py confirm_publish --env dev {entry.held}" in entry.error
    confirm_publish(env="dev", code=entry.held, by=SOMEBODY)
    publisher.once()
    assert status_in(place, key) == "active"
    entry.refresh_from_db()
    assert (entry.held, entry.error, entry.parked, entry.published_rev) == ("", "", False, entry.rev)


@READABLE
def test_what_follows_on_a_held_key_is_held_too_and_a_revocation_passes(revoked_in_the_store, publisher, key):
    place = revoked_in_the_store
    for rpm in range(1, 7):  # past the store's rev
        change_key(key, rpm=rpm)
        publisher.once()
        assert status_in(place, key) == "revoked"
    (entry,) = held_entries("dev")
    assert entry.rev > 3
    revoke_key(key=key, by=SOMEBODY)
    publisher.once()
    assert held_entries("dev") == []
    entry.refresh_from_db()
    assert (entry.held, entry.published_rev) == ("", entry.rev)
    assert place.documents()[entry.key].rev == entry.rev


def test_a_deletion_that_the_store_remembers_is_as_deadly(stores, publisher, key):
    place = Place(stores.of("dev"))
    publisher.once()
    place.put(key_document(key.hash), 3, None)
    change_key(key, rpm=1)
    publisher.once()
    publisher.once()
    assert status_in(place, key) == "deleted"
    assert "this key is deleted, at rev 3" in held_entries("dev")[0].error


def test_a_key_that_is_only_disabled_in_the_store_is_gone_past(stores, publisher, key):
    place = Place(stores.of("dev"))
    publisher.once()
    document = key_document(key.hash)
    body = json.loads(place.documents()[document].body)
    place.put(document, 3, json.dumps(body | {"rev": 3, "status": "disabled"}).encode())
    change_key(key, rpm=1)
    publisher.once()
    assert status_in(place, key) == "active"
    assert held_entries("dev") == []


def test_a_repair_that_a_person_confirmed_needs_no_second_word(stores, publisher, key):
    place = Place(stores.of("dev"))
    publisher.once()
    document = key_document(key.hash)
    body = json.loads(place.documents()[document].body)
    place.put(document, 3, json.dumps(body | {"rev": 3, "status": "revoked"}).encode())
    held = reconcile(place.store, by=SOMEBODY)
    assert held.status == "held"
    assert reconcile(place.store, by=SOMEBODY, confirm=held.confirmation).status == "repaired"
    publisher.once()
    assert status_in(place, key) == "active"
