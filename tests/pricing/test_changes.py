"""What a sync publishes itself and what waits; approving, rejecting, superseding; rules never lead nowhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
import time_machine

from changes.models import AuditEvent, OutboxRow
from pricing.actions.by_hand import add_hand_price, end_hand_price
from pricing.actions.changes import approve_sync, reject_sync
from pricing.actions.sync import sync_prices
from pricing.models import ModelPrice, PriceBook, PriceChange, PriceSync
from pricing.queries import LATE, changes_in, current_version, price_in, sync_alarm, waiting_sync
from pricing.render import pricing_blob
from pricing.sources.base import SourceError
from tenants.errors import StaleError, StatusError
from tests.pricing.catalogues import acme, catalogue, listed, provider
from tests.pricing.conftest import SYNC, Given, sync_and_approve
from wire.prices import PriceBook as Book
from wire.prices import ProviderRules

pytestmark = pytest.mark.django_db

Status = PriceSync.Status


def sync(given):
    return sync_prices(Given(given), by=SYNC)


def approve(waiting):
    return approve_sync(sync=waiting, digest=waiting.digest, by=SYNC)


def price_of(name, unit="input", owner="acme"):
    """What a name costs in the current book, as a gateway finds it; None when it finds nothing."""
    found = Book(pricing_blob(env="dev", rev=1)).find(owner, name)
    return found.prices.at(datetime.now(UTC)).get(unit) if found else None


def rules_lead_to_models():
    blob = pricing_blob(env="dev", rev=1)
    return all(model in blob.models[name] for name, rules in blob.providers.items() for _, model in rules.rules)


def test_a_move_within_the_band_publishes_and_one_beyond_it_waits():
    sync(acme())
    done = sync(acme(input=165_000, output=600_001))
    assert (done.changed, done.changed_prices, done.waiting) == (True, 1, None)
    assert price_of("small") == 165_000
    waits = sync(acme(input=165_000, output=660_002))
    assert (waits.changed, waits.book.version) == (False, 2)
    (change,) = changes_in(waits.waiting)
    assert (change.kind, change.status, change.model_id) == ("changed", "waiting", "small")
    assert change.basis_points == 1001
    assert change.reason == "output tokens rise by 10.01%"
    assert waits.waiting.reason == "acme/small: output tokens rise by 10.01%."
    assert price_of("small", "output") == 600_001


def test_the_band_and_the_most_are_settings(settings):
    settings.PRICE_BAND_PERCENT = 60
    settings.PRICE_CHANGES_MOST = 1
    sync(acme())
    assert sync(acme(input=200_000)).changed
    many = acme(22, input=201_000)
    moved = msgspec.structs.replace(many.providers[0].models[5], prices=listed("x", input=5, output=11).prices)
    models = (*many.providers[0].models[:5], moved, *many.providers[0].models[6:])
    both = msgspec.structs.replace(many, providers=(msgspec.structs.replace(many.providers[0], models=models),))
    waits = sync(both)
    assert not waits.changed
    assert {row.kind for row in changes_in(waits.waiting)} == {"changed", "new", "rules"}
    assert all("2 changes at once" in row.reason for row in changes_in(waits.waiting))
    assert rules_lead_to_models()
    assert approve(waits.waiting).model_count == 22
    assert price_of("model-21") == 21
    assert rules_lead_to_models()


def test_new_models_publish_beside_what_waits_and_are_found():
    sync(acme(20))
    waits = sync(acme(22, input=1))
    assert (waits.changed, waits.new_prices, waits.changed_prices) == (True, 2, 0)
    assert (price_of("model-21"), price_of("small")) == (21, 150_000)
    book = approve(waits.waiting)
    assert (book.version, price_of("small")) == (3, 1)
    today = datetime.now(UTC).date()
    assert (
        changes_in(PriceSync.objects.get(status=Status.APPROVED), status="published")
        .get(model_id="small")
        .effective_from
        == today
    )


def test_a_model_that_vanishes_keeps_price_and_rule_until_a_person_says_so():
    sync(acme(20))
    replaced = acme(19)
    newcomer = listed("successor", input=5)
    of = replaced.providers[0]
    rules = ProviderRules((*of.rules.rules, ({"equals": "successor"}, "successor")))
    waits = sync(
        msgspec.structs.replace(
            replaced, providers=(msgspec.structs.replace(of, models=(*of.models, newcomer), rules=rules),)
        )
    )
    assert {(row.kind, row.status) for row in PriceChange.objects.all()} == {
        ("new", "published"),
        ("gone", "waiting"),
        ("rules", "waiting"),
    }
    assert (price_of("model-19"), price_of("successor")) == (19, 5)
    assert rules_lead_to_models()
    approve(waits.waiting)
    assert (price_of("model-19"), price_of("successor")) == (None, 5)
    assert rules_lead_to_models()
    assert price_in("acme", "model-19", 1) is not None


def test_a_whole_provider_that_vanishes_waits_too():
    both = catalogue(provider("acme", listed("a", input=1)), provider("bolt", listed("b", input=1)))
    sync(both)
    waits = sync(msgspec.structs.replace(both, providers=both.providers[:1]))
    assert not waits.changed
    assert price_of("b", owner="bolt") == 1
    approve(waits.waiting)
    assert list(pricing_blob(env="dev", rev=1).providers) == ["acme"]


def test_rules_that_lead_a_name_to_a_far_price_wait():
    sync(acme())
    of = acme().providers[0]
    rules = ProviderRules((({"starts_with": "small"}, "model-3"), *of.rules.rules))
    waits = sync(msgspec.structs.replace(acme(), providers=(msgspec.structs.replace(of, rules=rules),)))
    (change,) = changes_in(waits.waiting)
    assert (change.kind, change.reason[:39]) == ("rules", "small would be priced as model-3: input")
    assert price_of("small") == 150_000
    approve(waits.waiting)
    assert price_of("small") == 3


def test_rules_that_lose_a_name_wait():
    sync(acme())
    of = acme().providers[0]
    waits = sync(
        msgspec.structs.replace(
            acme(), providers=(msgspec.structs.replace(of, rules=ProviderRules(of.rules.rules[1:])),)
        )
    )
    assert waits.waiting.reason == "rules of acme: small would be found no more."


def test_the_same_again_goes_on_waiting_and_something_else_supersedes_it():
    sync(acme())
    first = sync(acme(input=1)).waiting
    again = sync(acme(input=1))
    assert again.waiting == first
    assert PriceSync.objects.filter(status=Status.WAITING).count() == 1
    second = sync(acme(input=2)).waiting
    assert second != first
    first.refresh_from_db()
    assert first.status == Status.SUPERSEDED
    with pytest.raises(StatusError, match="does not wait any more: it is superseded"):
        approve(first)
    sync(acme())
    second.refresh_from_db()
    assert (second.status, waiting_sync()) == (Status.SUPERSEDED, None)


def test_an_approval_is_bound_to_what_was_seen():
    sync(acme())
    waiting = sync(acme(input=1)).waiting
    with pytest.raises(StaleError, match="not the changes that wait"):
        approve_sync(sync=waiting, digest="0" * 64, by=SYNC)
    assert current_version() == 1
    book = approve(waiting)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.book, waiting.decided_by) == (Status.APPROVED, book, SYNC.id)
    event = AuditEvent.objects.get(kind="prices.approved")
    assert (event.target_id, event.after["digest"], event.after["changed"]) == ("2", waiting.digest, 1)
    assert OutboxRow.objects.filter(topic="pricing").count() == 2
    with pytest.raises(StatusError, match="it is approved"):
        approve(waiting)


def test_what_was_rejected_is_not_proposed_again_unless_it_changes():
    sync(acme())
    waiting = sync(acme(input=1)).waiting
    reject_sync(sync=waiting, digest=waiting.digest, by=SYNC, reason="Their page says otherwise.")
    assert AuditEvent.objects.get(kind="prices.rejected").after["reason"] == "Their page says otherwise."
    assert not PriceChange.objects.filter(status="waiting").exists()
    again = sync(acme(input=1))
    assert (again.waiting, again.changed, price_of("small")) == (None, False, 150_000)
    assert PriceSync.objects.latest("at").reason == f"What is left was rejected as change set {waiting.pk}."
    assert sync(acme(input=2)).waiting is not None


def test_a_failed_sync_is_kept_and_is_the_alarm():
    sync(acme())
    assert sync_alarm() is None
    with pytest.raises(SourceError):
        sync(SourceError("The list is torn."))
    failed = PriceSync.objects.latest("at")
    assert (failed.status, failed.reason) == (Status.FAILED, "The list is torn.")
    assert sync_alarm().kind == "failed"
    with pytest.raises(SourceError, match="lists no models"):
        sync(catalogue())
    sync(acme())
    assert sync_alarm() is None
    sync(acme(input=1))
    assert sync_alarm().kind == "waiting"
    assert sync_alarm(datetime.now(UTC) + LATE + timedelta(minutes=1)).kind == "late"


def test_the_first_sync_publishes_all_and_lists_no_changes():
    done = sync(acme())
    row = PriceSync.objects.get()
    assert (row.status, row.new_count, row.book) == (Status.PUBLISHED, 20, done.book)
    assert not PriceChange.objects.exists()


def test_a_model_whose_change_waits_keeps_its_row():
    sync(acme())
    sync(acme(input=1))
    assert ModelPrice.objects.get(model__model_id="small").last_version_id is None
    assert PriceBook.objects.count() == 1


def test_the_real_catalogue_again_changes_nothing(synced, catalogue):
    again = sync_prices(Given(catalogue), by=SYNC)
    assert (again.changed, again.waiting) == (False, None)
    assert rules_lead_to_models()


def test_prices_that_move_there_and_back_leave_the_past_as_it_was():
    sync(acme())
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for amount in (300_000, 150_000, 450_000):
        sync_and_approve(acme(input=amount))
    prices = price_in("acme", "small", current_version()).decoded()
    assert [prices.at(moment)["input"] for moment in (yesterday, datetime.now(UTC))] == [150_000, 450_000]
    assert len(prices.periods) == 2


def test_a_model_that_was_gone_and_comes_back_keeps_the_price_of_its_past():
    """Whatever it costs from then on, calls of before are priced as they were."""
    with time_machine.travel(datetime(2026, 11, 1, 9, tzinfo=UTC)) as clock:
        sync(catalogue(provider("acme", listed("old", input=100), listed("stays", input=1))))
        clock.move_to(datetime(2026, 11, 10, 9, tzinfo=UTC))
        approve(sync(catalogue(provider("acme", listed("stays", input=1)))).waiting)
        assert price_of("old") is None
        clock.move_to(datetime(2026, 11, 20, 9, tzinfo=UTC))
        again = catalogue(provider("acme", listed("old", input=250), listed("stays", input=1)))
        assert sync_and_approve(again).version == 3
        assert not sync(again).changed
    prices = Book(pricing_blob(env="dev", rev=1)).find("acme", "old").prices
    assert {day: prices.at(datetime(2026, 11, day, 12, tzinfo=UTC))["input"] for day in (5, 15, 19, 20, 25)} == {
        5: 100,
        15: 100,
        19: 100,
        20: 250,
        25: 250,
    }


def test_what_a_person_withdrew_does_not_come_back_with_a_source():
    with time_machine.travel(datetime(2026, 11, 1, 9, tzinfo=UTC)) as clock:
        sync(acme())
        row = add_hand_price(provider="acme", model="new", prices={"input": 9}, starts=date(2026, 10, 1), by=SYNC)
        end_hand_price(price=row, ends=row.starts, by=SYNC)
        clock.move_to(datetime(2026, 11, 20, 9, tzinfo=UTC))
        of = acme().providers[0]
        sync_and_approve(catalogue(provider("acme", *of.models, listed("new", input=5))))
    prices = Book(pricing_blob(env="dev", rev=1)).find("acme", "new").prices
    assert [prices.at(datetime(2026, 11, day, tzinfo=UTC)) for day in (10, 20)] == [{"input": 5}] * 2
