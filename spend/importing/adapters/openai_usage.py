"""OpenAI's usage reports: pages of the organization usage API (JSON), and the dashboard's export of the same (CSV).

https://platform.openai.com/docs/api-reference/usage: `data` → buckets (`start_time`, `end_time`, Unix seconds) →
`results`. `input_tokens` holds cached and cache-write tokens; `input_audio_tokens` and `input_image_tokens` are those
of its tokens that were not cached; `output_tokens` holds audio and image tokens. A field that the report was not
grouped by is null. Images are counted in images, speech in characters, transcriptions in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spend.importing.adapters.base import (
    Adapter,
    Found,
    bucket_identity,
    bucket_rows,
    grouped,
    named,
    one_row,
)
from spend.importing.rows import Record, Row, RowError, moment_ms, text, units_of, whole

_PAGE = "https://platform.openai.com/docs/api-reference/usage"
_GROUPS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "size", "source")
_KINDS = ("completions", "embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions")


def rows(record: Record) -> Iterator[Found]:
    """The rows of a page, or of a single bucket."""
    return bucket_rows(record, lambda bucket, result: _row(bucket, result, _kind(result)))


def csv_rows(record: Record) -> Iterator[Found]:
    """A line of the dashboard's export: it has the columns of the API, and the moments as texts as well."""
    return one_row(record, lambda values: _row(values, values, _kind_of_columns(values)))


def _kind(result: Mapping[str, Any]) -> str:
    name = text(result.get("object")).removeprefix("organization.usage.").removesuffix(".result")
    if name not in _KINDS:
        raise RowError(f"{name[:60]!r} cannot be imported: {', '.join(_KINDS)} can.")
    return name


def _kind_of_columns(values: Mapping[str, Any]) -> str:
    if text(values.get("object")):
        return _kind(values)
    for column, kind in (("images", "images"), ("characters", "audio_speeches"), ("seconds", "audio_transcriptions")):
        if column in values:
            return kind
    return "completions" if "output_tokens" in values else "embeddings"


def _row(bucket: Mapping[str, Any], result: Mapping[str, Any], kind: str) -> Row | None:
    begin = moment_ms(bucket.get("start_time") or bucket.get("start_time_iso"), "start_time")
    end = moment_ms(bucket.get("end_time") or bucket.get("end_time_iso"), "end_time")
    if end <= begin:
        raise RowError("Its bucket ends before it begins.")
    seconds = (end - begin) // 1000
    groups = {name: text(result.get(name)) for name in _GROUPS}
    units, calls = _units(kind, result), whole(result, "num_model_requests", needed=True)
    if not units and not calls:
        return None
    return Row(
        ts=begin,
        seconds=seconds,
        provider="openai",
        model=groups["model"],
        units=units,
        calls=calls,
        identity=bucket_identity(kind, begin, seconds, groups),
        shape=grouped(kind, seconds, groups),
        theirs=named([("key", groups["api_key_id"]), ("project", groups["project_id"])]),
        service_tier="batch" if groups["batch"] in ("true", "1") else groups["service_tier"],
    )


def _units(kind: str, result: Mapping[str, Any]) -> dict[str, int]:
    if kind == "images":
        return units_of(images=whole(result, "images", needed=True))
    if kind == "audio_speeches":
        return units_of(characters_in=whole(result, "characters", needed=True))
    if kind == "audio_transcriptions":
        return units_of(audio_in_seconds=whole(result, "seconds", needed=True))
    cached, written = whole(result, "input_cached_tokens"), whole(result, "input_cache_write_tokens")
    cached_audio, cached_image = whole(result, "input_cached_audio_tokens"), whole(result, "input_cached_image_tokens")
    audio, image = whole(result, "input_audio_tokens"), whole(result, "input_image_tokens")
    audio_out, image_out = whole(result, "output_audio_tokens"), whole(result, "output_image_tokens")
    return units_of(
        input=whole(result, "input_tokens", needed=True) - cached - written - audio - image,
        output=whole(result, "output_tokens") - audio_out - image_out,
        cache_read=cached - cached_audio - cached_image,
        cache_write=written,
        audio_in=audio,
        audio_out=audio_out,
        audio_cache_read=cached_audio,
        image_in=image,
        image_out=image_out,
        image_cache_read=cached_image,
    )


ADAPTER = Adapter("openai_usage", "OpenAI: usage API (JSON)", "openai", "json", _PAGE, rows)
CSV_ADAPTER = Adapter(
    "openai_usage_csv",
    "OpenAI: usage export of the dashboard (CSV)",
    "openai",
    "csv",
    _PAGE,
    csv_rows,
    frozenset({"num_model_requests", "model"}),
)
