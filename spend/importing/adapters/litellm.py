"""LiteLLM's spend logs: rows of its table LiteLLM_SpendLogs, as /spend/logs answers them (JSON) or as exported (CSV).

https://docs.litellm.ai/docs/proxy/cost_tracking and the table in its schema.prisma: `request_id` is the primary key,
`spend` the cost in USD, `startTime` and `endTime` when the call ran, `custom_llm_provider` whose model it was.
`prompt_tokens` holds cached tokens; how many is said by `metadata.usage_object`, as the provider's answer had it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spend.importing.adapters.base import Adapter, Found, named, one_row
from spend.importing.reading import loads
from spend.importing.rows import Record, Row, RowError, identity_of, moment_ms, pico, text, units_of, whole
from wire.events import Status

_PROVIDERS = {
    "vertex_ai": "google",
    "gemini": "google",
    "bedrock": "aws",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "xai": "x-ai",
    "cohere_chat": "cohere",
}
_CACHE_HIT = ("true", "1", "yes")


def rows(record: Record) -> Iterator[Found]:
    """A record's row."""
    return one_row(record, _row)


def _row(values: Mapping[str, Any]) -> Row:
    known = {name.lower(): value for name, value in values.items()}  # CSV has its column names in small letters
    request_id = text(known.get("request_id"))
    if not request_id:
        raise RowError("It has no request_id.")
    begin = moment_ms(known.get("starttime"), "startTime")
    end = moment_ms(known.get("endtime"), "endTime") if known.get("endtime") else begin
    first = (
        moment_ms(known.get("completionstarttime"), "completionStartTime") if known.get("completionstarttime") else end
    )
    provider = text(known.get("custom_llm_provider")).lower()
    model = text(known.get("model"))
    if provider and model.startswith(f"{provider}/"):
        model = model.removeprefix(f"{provider}/")
    elif not provider and "/" in model:
        provider, _, model = model.partition("/")
    metadata = _object(known.get("metadata"), "metadata")
    failed = text(known.get("status")).lower() == "failure"
    hit = text(known.get("cache_hit")).lower() in _CACHE_HIT
    return Row(
        ts=begin,
        provider=_PROVIDERS.get(provider, provider),
        model=model,
        units={} if hit else _units(known, metadata),
        cost=pico(known.get("spend"), "spend"),
        identity=identity_of("litellm", request_id),
        theirs=named([("key", text(known.get("api_key"))), ("team", text(known.get("team_id")))]),
        end_user=text(known.get("end_user")) or text(known.get("user")),
        session=text(known.get("session_id")),
        upstream_request_id=request_id,
        status=Status.ERROR if failed else Status.OK,
        http_status=500 if failed else 200,
        ttfb_ms=max(0, first - begin),
        duration_ms=max(0, end - begin),
    )


def _units(known: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, int]:
    """Disjoint units. Without `usage_object` nothing is known of caches, and all tokens are plain."""
    usage = _object(metadata.get("usage_object"), "usage_object")
    details = _object(usage.get("prompt_tokens_details"), "prompt_tokens_details")
    cached = whole(details, "cached_tokens") or whole(usage, "cache_read_input_tokens")
    written = whole(usage, "cache_creation_input_tokens")
    tokens_in, tokens_out = whole(known, "prompt_tokens"), whole(known, "completion_tokens")
    return units_of(input=tokens_in - cached - written, output=tokens_out, cache_read=cached, cache_write=written)


def _object(value: Any, name: str) -> Mapping[str, Any]:
    """An object, which CSV and some exports have as a text."""
    if value in (None, ""):
        return {}
    if isinstance(value, str):
        try:
            value = loads(value)
        except ValueError as error:
            raise RowError(f"{name} is not JSON.") from error
    if not isinstance(value, dict):
        raise RowError(f"{name} is not an object.")
    return value


ADAPTER = Adapter(
    "litellm",
    "LiteLLM: spend logs (JSON or CSV)",
    "litellm",
    "",
    "https://docs.litellm.ai/docs/proxy/cost_tracking",
    rows,
)
