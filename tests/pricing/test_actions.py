"""A sync makes a new price book only when prices differ, never overwrites one, and believes no broken source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from changes.models import AuditEvent, OutboxRow
from pricing.actions.changes import approve_sync
from pricing.actions.sync import sync_prices
from pricing.models import ImmutableError, MatchRules, Model, ModelPrice, PriceBook, Provider
from pricing.queries import current_version, model_by_name, price_in
from pricing.render import pricing_blob
from pricing.sources.base import SourceError
from tests.pricing.catalogues import acme, catalogue, listed, provider, with_model
from tests.pricing.conftest import SYNC, Given, sync_and_approve
from wire.prices import ModelPrices, PricePeriod, ProviderRules, Tiered

pytestmark = pytest.mark.django_db


def sync(given):
    return sync_prices(Given(given), by=SYNC)


def everything() -> dict[str, list]:
    """All rows that a sync may write, to see that it wrote nothing."""
    tables = (PriceBook, Provider, Model, ModelPrice, MatchRules, AuditEvent, OutboxRow)
    return {table.__name__: list(table.objects.order_by("pk").values()) for table in tables}


def test_the_first_sync_makes_version_one_and_publishes_it():
    synced = sync(acme())
    assert synced.changed
    assert (synced.book.version, synced.book.model_count, synced.book.provider_count) == (1, 20, 1)
    assert (synced.new_prices, synced.changed_prices, synced.gone_prices) == (20, 0, 0)
    assert current_version() == 1
    event = AuditEvent.objects.get()
    assert (event.kind, event.target_id, event.actor_id, event.before) == ("prices.synced", "1", "test.sync", None)
    assert (event.after["models"], event.after["new"]) == (20, 20)
    assert list(OutboxRow.objects.values_list("topic", "object_id")) == [("pricing", "blob")]


def test_the_same_catalogue_again_makes_no_version_and_publishes_nothing():
    first = sync(acme())
    before = everything()
    again = sync(acme())
    assert not again.changed
    assert again.book.version == first.book.version
    assert again.book.checked_at > first.book.checked_at
    after = everything()
    for table in ("ModelPrice", "MatchRules", "AuditEvent", "OutboxRow"):
        assert after[table] == before[table]


def test_a_newer_release_with_the_same_prices_is_the_same_price_book():
    sync(acme())
    assert not sync(msgspec.structs.replace(acme(), source_version="2")).changed
    assert PriceBook.objects.get().source_version == "1"


def test_a_changed_price_closes_the_old_row_and_leaves_it_as_it_was():
    sync(acme())
    synced = sync(acme(output=650_000))
    assert (synced.book.version, synced.new_prices, synced.changed_prices, synced.gone_prices) == (2, 0, 1, 0)
    old, new = ModelPrice.objects.filter(model__model_id="small").order_by("pk")
    assert (old.first_version_id, old.last_version_id, new.first_version_id, new.last_version_id) == (1, 1, 2, None)
    assert old.decoded().periods[0].prices["output"] == 600_000
    today = new.seen_at.date()
    assert [(each.start, each.prices["output"]) for each in new.decoded().periods] == [
        (None, 600_000),
        (today, 650_000),
    ]
    assert ModelPrice.objects.filter(last_version=None).count() == 20
    assert AuditEvent.objects.get(kind="prices.synced", target_id="2").before["version"] == 1
    assert OutboxRow.objects.count() == 2


def test_a_price_that_changes_back_is_a_third_version():
    for output in (600_000, 700_000, 600_000):
        sync_and_approve(acme(output=output))
    assert current_version() == 3
    now = datetime.now(UTC)
    held = [price_in("acme", "small", version).decoded() for version in (1, 2, 3)]
    assert [each.at(now)["output"] for each in held] == [600_000, 700_000, 600_000]
    assert [each.at(now - timedelta(days=1))["output"] for each in held] == [600_000, 600_000, 600_000]


def test_models_come_and_go_and_come_back():
    sync(acme(20))
    waits = sync(acme(19))
    assert (waits.changed, waits.gone_prices, waits.waiting.gone_count) == (False, 0, 1)
    model = model_by_name("acme", "model-19")
    assert not model.gone
    assert approve_sync(sync=waits.waiting, digest=waits.waiting.digest, by=SYNC).version == 2
    model.refresh_from_db()
    assert model.gone
    assert price_in("acme", "model-19", 1) is not None
    assert price_in("acme", "model-19", 2) is None
    back = sync(acme(20))
    assert (back.new_prices, back.book.version) == (1, 3)
    model.refresh_from_db()
    assert not model.gone
    assert [row.first_version_id for row in ModelPrice.objects.filter(model=model).order_by("pk")] == [1, 3]


def test_a_changed_rule_is_a_new_version_though_no_price_changed():
    sync(acme())
    before = acme().providers[0]
    rules = ProviderRules((({"starts_with": "small"}, "small"), *before.rules.rules[1:]))
    synced = sync(msgspec.structs.replace(acme(), providers=(msgspec.structs.replace(before, rules=rules),)))
    assert (synced.book.version, synced.changed_prices) == (2, 0)
    assert [(row.first_version_id, row.last_version_id) for row in MatchRules.objects.order_by("pk")] == [
        (1, 1),
        (2, None),
    ]
    assert pricing_blob(env="dev", rev=1, version=1).providers["acme"] == before.rules
    assert pricing_blob(env="dev", rev=1).providers["acme"] == rules


def test_the_order_of_providers_is_part_of_a_version():
    one, two = provider("one", listed("a", input=1)), provider("two", listed("b", input=1))
    sync(catalogue(one, two))
    assert sync(catalogue(two, one)).book.version == 2
    assert pricing_blob(env="dev", rev=1, version=1).order == ("one", "two")
    assert pricing_blob(env="dev", rev=1).order == ("two", "one")


def test_a_new_name_or_note_is_written_down_without_a_version():
    sync(acme())
    synced = sync(with_model(acme(), name="Smaller", note="Read the small print.", context_window=128_000))
    assert not synced.changed
    model = model_by_name("acme", "small")
    assert (model.name, model.note, model.context_window) == ("Smaller", "Read the small print.", 128_000)
    assert AuditEvent.objects.filter(kind="catalogue.described").count() == 1
    assert OutboxRow.objects.count() == 1


def test_prices_and_rules_can_not_be_changed_or_deleted():
    sync(acme())
    for row in (ModelPrice.objects.first(), MatchRules.objects.first()):
        with pytest.raises(ImmutableError):
            row.save()
        with pytest.raises(ImmutableError):
            row.delete()


def test_a_sync_that_fails_at_its_end_leaves_nothing_behind(monkeypatch):
    sync(acme())
    before = everything()

    def fail(*args, **kwargs):
        raise ConnectionError("The database went away.")

    monkeypatch.setattr("pricing.actions.publish.record", fail)
    with pytest.raises(ConnectionError):
        sync(acme(21, output=601_000))
    assert everything() == before


BROKEN = {
    "it lists nothing": (catalogue(), "lists no models"),
    "a provider without models": (catalogue(provider("acme")), "lists no models"),
    "it cannot be read": (SourceError("The list ends in the middle of a line."), "ends in the middle"),
    "a provider listed twice": (
        catalogue(provider("acme", listed("a", input=1)), provider("acme", listed("b", input=1))),
        "the provider acme twice",
    ),
    "a model listed twice": (catalogue(provider("acme", listed("a", input=1), listed("a", input=1))), "listed twice"),
    "a negative price": (catalogue(provider("acme", listed("a", input=-1))), "a, input: a price must be from 0"),
    "a price no JSON reader can hold": (catalogue(provider("acme", listed("a", input=2**53))), "a price must be"),
    "a negative price in a tier": (
        catalogue(provider("acme", listed("a", input=Tiered(1, ((5, -1),))))),
        "a price must be",
    ),
    "tiers out of order": (
        catalogue(provider("acme", listed("a", input=Tiered(1, ((9, 2), (5, 3)))))),
        "rising numbers of tokens",
    ),
    "a model without a period": (
        with_model(catalogue(provider("acme", listed("a", input=1))), prices=ModelPrices(())),
        "no period",
    ),
    "a rule for a model that is not listed": (
        catalogue(
            msgspec.structs.replace(
                provider("acme", listed("a", input=1)), rules=ProviderRules((({"equals": "b"}, "b"),))
            )
        ),
        "names the model 'b'",
    ),
    "a rule of an unknown kind": (
        catalogue(
            msgspec.structs.replace(
                provider("acme", listed("a", input=1)), rules=ProviderRules((({"rhymes": "b"}, "a"),))
            )
        ),
        "not a kind of match clause",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_source_changes_nothing_and_says_why(what):
    given, said = BROKEN[what]
    sync(acme())
    before = everything()
    with pytest.raises(SourceError, match=said):
        sync(given)
    assert everything() == before


def test_the_real_catalogue_goes_in_whole(synced):
    book = synced.book
    assert book.model_count == Model.objects.count() == ModelPrice.objects.count() > 2000
    assert book.provider_count == Provider.objects.count() > 40
    assert book.figure_count > 7000
    assert book.rounded_count == len(book.report["rounded"]) > 0
    assert book.unexpressed_count == len(book.report["unexpressed"]) > 0
    assert ModelPrice.objects.exclude(source_url__startswith="https://").count() == 0


def test_periods_survive_a_journey_through_sql():
    span = ModelPrices((PricePeriod({"input": 1}), PricePeriod({"input": Tiered(1, ((200_000, 2),))})))
    sync(with_model(acme(), prices=span))
    assert price_in("acme", "small", 1).decoded() == span
