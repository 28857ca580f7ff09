"""Our prices beside LiteLLM's table: what differs is listed, what cannot be compared is counted, nothing is changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from changes.models import AuditEvent
from pricing.actions.crosscheck import KEPT, cross_check, result_of
from pricing.crosscheck import CrossCheckError, compare, read_table
from pricing.models import CrossCheck, ModelPrice
from pricing.queries import last_cross_check
from tests.pricing.catalogues import acme
from tests.pricing.conftest import SYNC, sync_and_approve
from wire.prices import PriceBook

TABLE = Path(__file__).parent / "model_prices.json"  # in the form of LiteLLM's, with a few figures that are wrong
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_the_figures_that_differ_are_found_and_no_others(price_book: PriceBook):
    result = compare(read_table(TABLE.read_bytes()), price_book, NOW)
    assert {
        (each.model, each.unit, each.above, each.ours, each.theirs, each.basis_points) for each in result.disagreements
    } == {
        ("gpt-4o", "input", 0, 2_500_000, 5_000_000, -5000),
        ("claude-haiku-4-5", "output", 0, 5_000_000, 4_000_000, 2500),
        ("gemini-2.5-pro", "input", 200_000, 2_500_000, 3_750_000, -3334),
    }
    assert result.disagreeing == 3
    assert result.disagreements[0].model == "gpt-4o", "what is furthest apart comes first"
    assert result.unmatched_names == ("acme-nobody-knows",)
    assert (result.unmatched, result.other_providers) == (1, 1)
    assert result.matched == result.listed - 2
    assert result.compared > 100
    assert result.not_compared >= 1
    assert result.ours_alone > 100


def test_floats_are_never_read_as_floats():
    table = read_table(b'{"m": {"litellm_provider": "openai", "input_cost_per_token": 2.5000000000000001e-06}}')
    assert str(table["m"]["input_cost_per_token"]) == "0.0000025000000000000001"


@pytest.mark.django_db
def test_it_is_kept_for_the_page_and_changes_no_price(synced):
    before = list(ModelPrice.objects.order_by("pk").values())
    row, result = cross_check(content=TABLE.read_bytes(), table="model_prices.json", by=SYNC)
    assert last_cross_check() == row
    assert result_of(row) == result
    assert (row.version, len(row.digest)) == (1, 64)
    assert list(ModelPrice.objects.order_by("pk").values()) == before
    assert AuditEvent.objects.get(kind="prices.cross_checked").after["disagreeing"] == 3


@pytest.mark.django_db
def test_only_the_last_ones_are_kept():
    sync_and_approve(acme())
    for _ in range(KEPT + 3):
        cross_check(content=TABLE.read_bytes(), table="x", by=SYNC)
    assert CrossCheck.objects.count() == KEPT


@pytest.mark.django_db
def test_the_command_lists_what_differs(synced):
    out = StringIO()
    call_command("crosscheck_prices", str(TABLE), stdout=out)
    assert "openai/gpt-4o input: ours $0.0000025, theirs $0.000005 (-50.00 %, as gpt-4o)" in out.getvalue()
    assert "google/gemini-2.5-pro input, above 200,000 tokens" in out.getvalue()
    assert "3 of " in out.getvalue()
    out = StringIO()
    call_command("crosscheck_prices", str(TABLE), "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["disagreeing"], told["table"], told["version"]) == (3, "model_prices.json", 1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not JSON", "not JSON"),
        (b"[]", "not LiteLLM's table"),
        (b'{"a": {"price": 1}}', "not LiteLLM's table"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xff", "not JSON"),
    ],
)
def test_other_files_are_refused(content, said):
    sync_and_approve(acme())
    with pytest.raises(CrossCheckError, match=said):
        cross_check(content=content, table="x", by=SYNC)
    assert not CrossCheck.objects.exists()


@pytest.mark.django_db
def test_without_prices_or_a_file_it_says_so(tmp_path):
    with pytest.raises(CommandError, match="no price book yet"):
        call_command("crosscheck_prices", str(TABLE))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("crosscheck_prices", str(tmp_path / "none.json"))
