"""Prices by hand: given, changed and ended; found beside the source's models; told line by line when they are wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from io import StringIO

import msgspec
import pytest
from django.core.management import CommandError, call_command

from changes.actor import Actor
from changes.models import AuditEvent, OutboxRow
from pricing.actions.by_hand import add_hand_price, add_hand_prices, change_hand_price, end_hand_price
from pricing.actions.catalogue import describe_model
from pricing.actions.changes import approve_sync, reject_sync
from pricing.actions.sync import sync_prices
from pricing.models import HandPrice, Model, PriceBook
from pricing.queries import changes_in, current_version, hand_prices, model_by_name, price_in
from pricing.render import pricing_blob
from pricing.sources.table import TableFile
from pricing.typed import entries_from_rows, price_from_text, rows_of_file
from tenants.errors import ManyRefusedError, RefusedError
from tests.pricing.catalogues import acme, catalogue, listed, provider
from tests.pricing.conftest import SYNC, Given
from wire.prices import ModelPrices, PricePeriod
from wire.prices import PriceBook as Book

pytestmark = pytest.mark.django_db

PERSON = Actor.system("test.person")
DAY = date(2026, 11, 1)


def sync(given):
    return sync_prices(Given(given), by=SYNC)


def give(model="private-7b", **given):
    usual = {"provider": "acme", "prices": {"input": 200_000, "output": 400_000}, "starts": DAY, "by": PERSON}
    return add_hand_price(model=model, **usual | given)


def found(name, owner="acme"):
    return Book(pricing_blob(env="dev", rev=1)).find(owner, name)


def at(day, name="private-7b", unit="input"):
    moment = datetime.combine(day, datetime.min.time(), UTC)
    return found(name).prices.at(moment).get(unit)


def state():
    tables = (PriceBook, Model, HandPrice, AuditEvent, OutboxRow)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def test_a_price_by_hand_is_in_the_next_book_at_once_and_says_so():
    sync(acme())
    row = give(source_url="https://acme.example/private", note="From their offer.")
    assert current_version() == 2
    match = found("Private-7B")
    assert (match.model, match.prices.at(datetime.now(UTC))) == ("private-7b", {"input": 200_000, "output": 400_000})
    assert at(DAY - timedelta(days=1)) is None, "before its day the model is unpriced, and not free"
    price = price_in("acme", "private-7b", 2)
    assert (price.source, price.source_url) == ("by hand", "https://acme.example/private")
    assert price_in("acme", "small", 2).source == "given"
    event = AuditEvent.objects.get(kind="prices.by_hand")
    assert (event.actor_id, event.target_id, event.after["what"]) == ("test.person", "2", "added")
    assert event.after["prices"][0]["prices"] == {"input": 200_000, "output": 400_000}
    assert OutboxRow.objects.filter(topic="pricing").count() == 2
    assert list(hand_prices(model_by_name("acme", "private-7b"))) == [row]


def test_syncs_leave_it_alone():
    sync(acme())
    give()
    again = sync(acme(21))
    assert (again.new_prices, again.gone_prices, again.waiting) == (1, 0, None)
    assert at(DAY) == 200_000
    assert not model_by_name("acme", "private-7b").gone
    assert not sync(acme(21)).changed


def test_a_provider_of_ones_own():
    sync(acme())
    give("llama", provider="our-vllm")
    assert found("llama", "our-vllm").model == "llama"
    assert not sync(acme()).changed
    assert found("llama", "our-vllm").model == "llama"
    assert pricing_blob(env="dev", rev=1).order == ("acme", "our-vllm")


def test_a_prefix_finds_many_names_and_takes_none_from_others():
    sync(acme())
    give(clause={"starts_with": "private-"})
    assert found("private-70b-chat").model == "private-7b"
    with pytest.raises(RefusedError, match="model-1 is priced as model-1 already: choose a narrower match"):
        give("mine", clause={"starts_with": "model-"})
    assert found("model-1").model == "model-1"


def test_a_model_that_a_source_prices_is_refused_and_one_it_lists_without_a_price_is_not():
    bare = msgspec.structs.replace(listed("bare"), prices=ModelPrices((PricePeriod({}),)))
    given = catalogue(provider("acme", bare, listed("small", input=1)))
    sync(given)
    with pytest.raises(RefusedError, match="small has a price of given already"):
        give("small")
    give("bare")
    assert at(DAY, "bare") == 200_000
    assert not sync(given).changed
    assert at(DAY, "bare") == 200_000


def test_other_prices_from_a_day_on_and_an_end():
    sync(acme())
    row = give()
    later = change_hand_price(price=row, prices={"input": 300_000}, starts=DAY + timedelta(days=5), by=PERSON)
    assert [at(DAY + timedelta(days=days)) for days in (0, 4, 5)] == [200_000, 200_000, 300_000]
    end_hand_price(price=later, ends=DAY + timedelta(days=9), by=PERSON)
    assert [at(DAY + timedelta(days=days)) for days in (8, 9, 40)] == [300_000, None, None]
    corrected = change_hand_price(price=later, prices={"input": 310_000}, starts=later.starts, by=PERSON)
    assert [at(DAY + timedelta(days=days)) for days in (4, 5, 9)] == [200_000, 310_000, None]
    with pytest.raises(RefusedError, match="must begin within the days of the old ones"):
        change_hand_price(price=corrected, prices={"input": 1}, starts=DAY, by=PERSON)
    with pytest.raises(RefusedError, match="not there any more"):
        end_hand_price(price=later, ends=DAY + timedelta(days=7), by=PERSON)
    assert price_in("acme", "private-7b", 2).decoded().at(datetime.now(UTC)) == {"input": 200_000, "output": 400_000}


def test_what_is_withdrawn_leaves_the_book_and_its_past_versions_stay():
    sync(acme())
    row = give()
    end_hand_price(price=row, ends=row.starts, by=PERSON)
    assert found("private-7b") is None
    assert price_in("acme", "private-7b", 2) is not None
    assert not sync(acme()).changed


def test_overlapping_days_are_refused():
    sync(acme())
    give(ends=DAY + timedelta(days=10))
    give(starts=DAY + timedelta(days=10))
    with pytest.raises(RefusedError, match=r"has prices by hand from 2026-11-01 to before 2026-11-11"):
        give(starts=DAY - timedelta(days=5), ends=DAY + timedelta(days=1))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ends": DAY}, "end must lie after the beginning"),
        ({"prices": {}}, "at least one price"),
        ({"source_url": "javascript:alert(1)"}, "is not an address"),
        ({"provider": "No Spaces"}, "is not a provider"),
        ({"model": " "}, "needs a name"),
        ({"starts": date(1999, 1, 1)}, "between 2000 and 2100"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(given, said):
    sync(acme())
    before = state()
    with pytest.raises(RefusedError, match=said):
        give(**given)
    assert state() == before


def test_a_source_that_begins_to_list_such_a_model_is_a_conflict():
    sync(acme())
    give()
    of = acme().providers[0]
    theirs = catalogue(provider("acme", *of.models, listed("private-7b", input=250_000)))
    waits = sync(theirs)
    (conflict,) = changes_in(waits.waiting).filter(kind="conflict")
    assert (conflict.model_id, conflict.reason) == ("private-7b", "given lists what a person priced")
    assert at(DAY) == 200_000
    reject_sync(sync=waits.waiting, digest=waits.waiting.digest, by=PERSON)
    assert sync(theirs).waiting is None
    theirs = catalogue(provider("acme", *of.models, listed("private-7b", input=260_000)))
    waiting = sync(theirs).waiting
    approve_sync(sync=waiting, digest=waiting.digest, by=PERSON)
    today = datetime.now(UTC).date()
    assert (at(today), at(DAY)) == (260_000, 200_000)
    model = model_by_name("acme", "private-7b")
    assert (model.by_hand, model.hand_match, HandPrice.objects.count()) == (False, None, 0)
    assert not sync(theirs).changed


# -- as typed, and from tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "text", "per", "pico"),
    [
        ("input", "0.15", "", 150_000),
        ("input", "$0.00000015", "unit", 150_000),
        ("output", "600", "1000000", 600_000_000),
        ("requests", "0.01", "", 10**10),
        ("web_searches", "10", "thousand", 10**10),
        ("audio_in_seconds", "0.36", "hour", 10**8),
        ("input", "0", "million", 0),
    ],
)
def test_prices_are_read_as_typed(unit, text, per, pico):
    assert price_from_text(unit, text, per) == pico


@pytest.mark.parametrize(
    ("unit", "text", "per", "said"),
    [
        ("input", "-1", "", "cannot be negative"),
        ("input", "1e5", "", "is not a price"),
        ("input", "NaN", "", "is not a price"),
        ("input", "1,5", "", "is not a price"),
        ("tokens", "1", "", "is not a unit"),
        ("input", "0.15", "unit", "beyond any price"),
        ("images", "1001", "", "beyond any price"),
        ("input", "0.0000001", "", "finer than a pico-USD"),
        ("input", "1", "dozen", "is not a number of units"),
        ("input", "1", "0", "1 unit or more"),
    ],
)
def test_what_is_no_price_is_told(unit, text, per, said):
    with pytest.raises(ValueError, match=said):
        price_from_text(unit, text, per)


def table(lines):
    return "\n".join(["provider,model,unit,price,per,from,until,match", *lines]).encode()


def test_a_table_with_wrong_lines_names_each_and_changes_nothing(tmp_path):
    sync(acme())
    before = state()
    lines = [
        f"acme,m-{number // 2},{'output' if number % 2 else 'input'},1.5,million,2026-11-01,,"
        for number in range(10_000)
    ]
    lines[16] = "acme,m-8,input,-1.5,million,2026-11-01,,"
    lines[4711] = "acme,m-2355,outputs,1.5,million,2026-11-01,,"
    lines[9999] = "acme,m-4999,output,1.5,million,2026-13-01,,"
    path = tmp_path / "prices.csv"
    path.write_bytes(table(lines))
    with pytest.raises(CommandError) as refused:
        call_command("import_prices", str(path))
    assert str(refused.value).splitlines() == [
        "Line 18: A price cannot be negative.",
        "Line 4713: 'outputs' is not a unit: write one such as input, output, cache_read, cache_write, cache_write_5m.",
        "Line 10001: '2026-13-01' is not a day: write it like 2026-11-30.",
        "Nothing was changed.",
    ]
    assert state() == before


def test_wrong_lines_of_every_kind_are_told_at_once(tmp_path):
    """A price that cannot be read hides neither days that overlap nor a model that a source prices, nor the reverse."""
    sync(acme())
    give("m-3", starts=date(2026, 11, 10))
    before = state()
    lines = [f"acme,m-{number},input,1.5,million,2026-11-01,2026-11-10," for number in range(10_000)]
    lines[3] = "acme,m-3,input,1.5,million,2026-11-01,2026-11-11,"
    lines[4711] = "acme,m-4711,input,-1,million,2026-11-01,,"
    lines[9999] = "acme,small,input,1.5,million,2026-11-01,,"
    path = tmp_path / "prices.csv"
    path.write_bytes(table(lines))
    with pytest.raises(CommandError) as refused:
        call_command("import_prices", str(path))
    assert str(refused.value).splitlines() == [
        "Line 5: m-3 has prices by hand from 2026-11-10 on: change or end those, or choose other days.",
        "Line 4713: A price cannot be negative.",
        "Line 10001: small has a price of given already. For one tenant's price use an override.",
        "Nothing was changed.",
    ]
    assert state() == before


def test_a_table_goes_in_whole(tmp_path):
    sync(acme())
    path = tmp_path / "prices.csv"
    path.write_bytes(
        table(["acme,x,input,1.5,million,2026-11-01,,prefix", "acme,x,output,3,million,2026-11-01,,prefix"])
    )
    out = StringIO()
    call_command("import_prices", str(path), "--json", stdout=out)
    assert out.getvalue() == '{"added": 1, "version": 2}\n'
    assert found("x-large").prices.at(datetime.now(UTC)) == {"input": 1_500_000, "output": 3_000_000}


def test_what_the_catalogue_refuses_is_told_by_line_too():
    sync(acme())
    before = state()
    rows = list(
        rows_of_file(
            b'[{"provider": "acme", "model": "x", "unit": "input", "price": 1.50},'
            b' {"provider": "acme", "model": "small", "unit": "input", "price": 2}]'
        )
    )
    with pytest.raises(ManyRefusedError) as refused:
        add_hand_prices(entries=entries_from_rows(rows), by=PERSON)
    assert [(fault.line, fault.field) for fault in refused.value.faults] == [(2, "model")]
    assert state() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The header lacks model, price, provider, unit"),
        (b"provider,model,unit,price\n", "no prices in this file"),
        (b"[1]", "list of objects"),
        (b'[{"provider": ', "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (table(["acme,x,input,1,,,,", "acme,x,input,2,,,,"]), "priced in line 2 already"),
        (table(["acme,x,input,1,,2026-02-02,2026-02-01,"]), "end must lie after"),
        (table(["acme,x,input,1,,,,regex"]), "not a way to match"),
        (table(["acme,x,input,1,,,,,too,many"]), "more values than columns"),
    ],
)
def test_files_that_are_no_tables_are_told(content, said):
    with pytest.raises(ManyRefusedError, match=said):
        entries_from_rows(rows_of_file(content))


def test_a_table_is_a_source_like_any_other(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_bytes(table(["acme,x,input,1,,,,", "acme,x,input,2,,2026-06-01,,", "acme,y-,input,3,,,,prefix"]))
    sync_prices(TableFile(path), by=SYNC)
    prices = found("x").prices
    assert [prices.at(datetime(2026, month, 2, tzinfo=UTC))["input"] for month in (5, 6)] == [1_000_000, 2_000_000]
    assert found("y-large").model == "y-"
    assert price_in("acme", "x", 1).source == "table"


# -- facts -----------------------------------------------------------------------------------------------------------


def test_facts_by_hand_survive_syncs_and_are_given_back():
    sync(acme())
    model = model_by_name("acme", "small")
    given = {
        "context_window": "128,000",
        "tier": "bulk",
        "capabilities": "tools, vision",
        "deprecated_on": "2027-01-31",
    }
    describe_model(model=model, by=PERSON, facts=given, note="Their page.")
    theirs = msgspec.structs.replace(acme().providers[0].models[0], context_window=1)
    of = acme().providers[0]
    listing = msgspec.structs.replace(acme(), providers=(msgspec.structs.replace(of, models=(theirs, *of.models[1:])),))
    sync(listing)
    model.refresh_from_db()
    assert (model.context_window, model.tier, model.capabilities) == (128_000, "bulk", ["tools", "vision"])
    assert model.deprecated_on == date(2027, 1, 31)
    assert model.facts["tier"]["source"] == "by hand"
    describe_model(model=model, by=PERSON, facts={"context_window": ""})
    sync(listing)
    model.refresh_from_db()
    assert (model.context_window, model.facts["context_window"]["source"]) == (1, "given")
    with pytest.raises(ManyRefusedError, match="not a tier"):
        describe_model(model=model, by=PERSON, facts={"tier": "huge"})


def test_bundled_facts_name_their_source_and_models_that_exist(synced):
    model = model_by_name("anthropic", "claude-sonnet-4-5")
    assert (model.output_most, model.deprecated_on) == (64_000, date(2026, 11, 30))
    assert model.facts["output_most"]["source"].startswith("https://platform.claude.com/")
    assert model_by_name("openai", "gpt-4o").facts["context_window"]["source"] == "genai-prices"
