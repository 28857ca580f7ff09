"""Files of every kind as rows: what the documented fields become, and what is said about lines that cannot be taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from spend.importing.adapters import ADAPTERS
from spend.importing.reading import DOCUMENT_MOST, FileError, form_of, records
from spend.importing.rows import Bad, Record, Row
from wire.events import Status
from wire.units import input_tokens, output_tokens

FILES = Path(__file__).parent / "fixtures" / "imports"
NOV_1 = 1_793_491_200_000


def found(kind: str, body: bytes | str):
    """Rows and faults of a file, by where they stand."""
    content = (FILES / body).read_bytes() if isinstance(body, str) else body
    pieces = [content[at : at + 97] for at in range(0, len(content), 97)]
    got = []
    for each in records(pieces, form=form_of(content)):
        got += list(ADAPTERS[kind].rows(each)) if isinstance(each, Record) else [each]
    return got


def rows(kind: str, body: bytes | str) -> list[Row]:
    return [row for _, row in found(kind, body) if isinstance(row, Row)]


def faults(kind: str, body: bytes | str) -> list[tuple[int, str]]:
    return [
        (place if isinstance(place, int) else place.line, row.why)
        for place, row in found(kind, body)
        if isinstance(row, Bad)
    ]


def test_openai_completions_are_disjoint_units_of_a_bucket():
    mini, big = rows("openai_usage", "openai_usage_completions.json")
    assert mini.units == {"input": 18496, "output": 5000, "cache_read": 8448, "audio_in": 500, "audio_out": 120}
    assert (input_tokens(mini.units), output_tokens(mini.units)) == (27444, 5120)
    assert (mini.ts, mini.seconds, mini.calls, mini.provider) == (NOV_1, 86400, 42, "openai")
    assert mini.theirs == ("key_web", "proj_checkout")
    assert big.units == {"input": 1000, "output": 500}
    assert mini.identity != big.identity
    assert mini.shape == "completions 86400 api_key_id,model,project_id"


def test_other_openai_reports_count_what_they_are_charged_by():
    embeddings, images = rows("openai_usage", "openai_usage_other.jsonl")
    assert (embeddings.units, embeddings.calls) == ({"input": 16000}, 2)
    assert (images.units, images.calls, images.model) == ({"images": 3}, 2, "dall-e-3")
    assert faults("openai_usage", "openai_usage_other.jsonl") == [
        (
            3,
            "'vector_stores' cannot be imported: completions, embeddings, moderations, images, audio_speeches, "
            "audio_transcriptions can.",
        )
    ]


def test_the_dashboards_csv_is_the_same_bucket_as_the_apis():
    (row,) = rows("openai_usage_csv", "openai_usage.csv")
    assert row == rows("openai_usage", "openai_usage_completions.json")[0]
    assert faults("openai_usage_csv", "openai_usage.csv") == [
        (3, "Its parts are more than their sum: that leaves -10 input.")
    ]


def test_openai_costs_are_money_without_calls():
    into, out = rows("openai_costs", "openai_costs.json")
    assert (into.cost, out.cost) == (3_483_300_000, 3_072_000_000)
    assert (into.calls, into.units, into.model) == (0, {}, "gpt-4o-mini-2024-07-18")
    said = [why for _, why in faults("openai_costs", "openai_costs.json")]
    assert "credits belong to an invoice" in said[0]
    assert said[1] == "It is in EUR: only amounts in USD can be imported."


def test_anthropics_report_has_caches_searches_tiers_and_lengths():
    plain, batch = rows("anthropic_usage", "anthropic_usage.json")
    assert plain.units == {
        "input": 1500,
        "output": 500,
        "cache_read": 200,
        "cache_write_5m": 500,
        "cache_write_1h": 1000,
        "web_searches": 10,
    }
    assert (plain.service_tier, plain.context, plain.counted) == ("", 1, False)
    assert (batch.service_tier, batch.context) == ("batch", 200_001)
    assert batch.theirs == ("apikey_01Rj2N8SVvo6BePZj99NhmiT", "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ")


def test_the_consoles_csv_is_a_day_a_line():
    (row,) = rows("anthropic_usage_csv", "anthropic_usage.csv")
    assert row.units == {"input": 46981, "output": 16932, "cache_write_5m": 15969}
    assert (row.ts, row.seconds, row.context) == (NOV_1, 86400, 1)
    assert faults("anthropic_usage_csv", "anthropic_usage.csv") == [
        (3, "usage_input_tokens_no_cache is 'none': give a whole number from 0 on.")
    ]


def test_anthropics_amounts_are_cents_in_json_and_dollars_in_csv():
    tokens, search = rows("anthropic_costs", "anthropic_costs.json")
    assert tokens.cost == 1_237_891_200_000
    assert (search.cost, search.model) == (500_000_000_000, "")
    assert [row.cost for row in rows("anthropic_costs_csv", "anthropic_costs.csv")] == [50_000_000_000, 20_000_000_000]
    assert {row.model for row in rows("anthropic_costs_csv", "anthropic_costs.csv")} == {"claude-haiku-4-5"}


def test_litellms_spend_logs_are_single_calls_with_their_spend():
    first, cached = rows("litellm", "litellm.json")
    assert (first.provider, first.model, first.units) == (
        "openai",
        "gpt-4o-mini",
        {"input": 16, "output": 64, "cache_read": 5},
    )
    assert first.cost == 41_550_000
    assert (first.upstream_request_id, first.end_user, first.session) == ("chatcmpl-9zA1", "ann", "s-1")
    assert (first.ttfb_ms, first.duration_ms, first.seconds, first.status) == (400, 1500, 0, Status.OK)
    assert (cached.units, cached.cost) == ({}, 0)
    assert faults("litellm", "litellm.json") == [(1, "It has no request_id.")]
    (same,) = rows("litellm", "litellm.csv")
    assert (same.identity, same.units, same.cost) == (first.identity, first.units, first.cost)


def test_our_own_form_says_of_each_line_what_is_wrong():
    assert faults("file", "own.csv") == [
        (4, "input is 'x': give a whole number from 0 on."),
        (
            5,
            "Its cost is negative: credits belong to an invoice, which is reconciled and not imported.",
        ),
        (6, "It has 5 cells, and there are 11 columns."),
    ]
    first, second, last = rows("file", "own.csv")
    assert (first.tags, first.project, second.project) == ({"team": "search", "stage": "beta"}, "", "Nowhere")
    assert second.ts == NOV_1 + (4 * 60 + 1) * 60_000
    assert (last.cost, last.provider) == (250_000_000_000, "private")


def test_our_own_form_in_json_lines_has_buckets_too():
    call, bucket = rows("file", "own.jsonl")
    assert call.identity == rows("file", "own.csv")[0].identity
    assert (bucket.seconds, bucket.calls, bucket.units) == (3600, 12, {"input": 12000, "output": 3400})
    (third, why), (fourth, other) = faults("file", "own.jsonl")
    assert (third, fourth) == (3, 4)
    assert "There is no unit 'inptu'" in why
    assert "It is not JSON" in other


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('{"ts": "2026-11-01", "seconds": 172800, "provider": "p", "model": "m"}', "within one UTC day"),
        ('{"ts": "2026-11-01T00:10:00Z", "seconds": 3600, "provider": "p", "model": "m"}', "within one UTC day"),
        ('{"ts": "1999-01-01", "provider": "p", "model": "m"}', "years 2000 to 2099"),
        ('{"ts": true, "provider": "p", "model": "m"}', "give a moment"),
        ('{"ts": "2026-11-01", "model": "m"}', "names no provider"),
        ('{"ts": "2026-11-01", "provider": "p"}', "names no model"),
        ('{"ts": "2026-11-01", "provider": "p", "model": "m", "units": {"input": -1}}', "whole number"),
        ('{"ts": "2026-11-01", "provider": "p", "model": "m", "units": {"input": 1.5}}', "whole number"),
        ('{"ts": "2026-11-01", "provider": "p", "model": "m", "cost": "1e999"}', "give an amount"),
        ('{"ts": "2026-11-01", "provider": "p", "model": "m", "prize": 1}', "no column 'prize'"),
        ('{"ts": "2026-11-01", "provider": "p", "model": "m", "status": "fine"}', "choose one of ok"),
        ('{"ts": "2026-11-01", "provider": "p", "model": "m", "units": {"input": NaN}}', "no number"),
        ('{"ts": "2026-11-01", "provider": "p", "model": "m", "tags": {"a": 1}}', "object of texts"),
        ("7", "not a JSON object"),
    ],
)
def test_bad_rows_are_refused_with_a_reason(row, why):
    ((line, said),) = faults("file", f'{{"ts": 1793491200, "provider": "p", "model": "m"}}\n{row}\n'.encode())
    assert line == 2
    assert why in said


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"ts,model\n\xff\xfe\n", "not text in UTF-8"),
        (b"ts,ts\n1,2\n", "each once"),
        (b'ts,model\n"1,2\n', "is not CSV"),
        (b"ts,model\n1,\x00\n", "NUL bytes"),
        (b'{"data": [\n', "not JSON"),
        (b'{"a": [\n' + b" " * DOCUMENT_MOST, "more than 32 MB"),
    ],
)
def test_files_that_cannot_be_read_are_refused_as_a_whole(body, why):
    with pytest.raises(FileError, match=why):
        list(records([body], form=form_of(body)))
