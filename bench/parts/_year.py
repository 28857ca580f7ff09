"""A year of calls of many tenants, made inside ClickHouse: the same for the same number of events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

TENANTS, MONTHS = 500, 13  # with 10 keys each, and 60 models
AT_ONCE = 250_000
ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Europe/Berlin")

# Few tenants and keys have most of the calls: a power of an evenly spread number. The first tenant has an eighth of
# all. A key calls four models. Ids are UUIDv7 of the call's moment, as the gateway makes them.
_FILL = """
INSERT INTO usage_events (
    event_id, rev, ts, env, tenant_id, project_id, key_id, end_user, tags, tier, route, provider, model_asked,
    model_priced, units, input_tokens, output_tokens, cached_tokens, price_version, override_version, cost, charge,
    usage_source, kind, status, http_status, ttfb_ms, duration_ms, streamed, request_id, upstream_request_id
)
WITH
    number + %(start)s AS n,
    toInt64(%(begin)s + intDiv(n * %(span)s, %(events)s)) AS ms,
    toUInt64(pow(sipHash64(n, 1) / 18446744073709551616., 3) * 500) AS tenant,
    toUInt64(pow(sipHash64(n, 2) / 18446744073709551616., 2) * 10) AS key,
    (tenant * 3 + key * 7 + toUInt64(pow(sipHash64(n, 3) / 18446744073709551616., 2) * 4)) %% 60 AS model,
    sipHash64(n, 4) %% 6000 + 20 AS words_in,
    sipHash64(n, 5) %% 900 AS words_out,
    if(n %% 3 = 0, sipHash64(n, 6) %% 4000, 0) AS cached_in,
    model = 59 AS unknown,
    toDecimal128(words_in * (model + 1) * 25000 + words_out * (model + 1) * 100000, 0) / 1000000000000 AS amount
SELECT
    reinterpretAsUUID(bitOr(
        bitShiftLeft(toUInt128(bitOr(bitAnd(sipHash64(n, 7), 4611686018427387903), 9223372036854775808)), 64),
        toUInt128(bitOr(bitShiftLeft(toUInt64(ms), 16), bitOr(28672, bitAnd(sipHash64(n, 8), 4095))))
    )),
    1, fromUnixTimestamp64Milli(ms), if(key %% 5 = 4, 'dev', 'prod'), concat('t_', leftPad(toString(tenant), 8, '0')),
    concat('p_', toString(tenant), '_', toString(key %% 4)), concat('k_', toString(tenant), '_', toString(key)),
    concat('user-', toString(sipHash64(n, 9) %% 2000)),
    map('team', concat('team-', toString(key %% 7)), 'feature', if(n %% 4 = 0, 'search', 'chat')),
    if(model %% 4 = 0, 'frontier', ''), '/v1/chat/completions',
    arrayElement(['openai', 'anthropic', 'google', 'mistral'], model %% 4 + 1), concat('model-', toString(model)),
    if(unknown, '', concat('model-', toString(model))),
    map('input', words_in, 'output', words_out, 'cache_read', cached_in), words_in + cached_in, words_out, cached_in,
    1, 0, if(unknown, NULL, toDecimal128(amount, 12)), if(unknown, NULL, toDecimal128(amount, 12)), 'provider', 'call',
    if(sipHash64(n, 10) %% 50 = 0, 'error', 'ok'), if(sipHash64(n, 10) %% 50 = 0, 500, 200), 80 + words_out %% 400,
    200 + words_out * 9, n %% 2 = 0, concat('req_', lower(hex(sipHash64(n, 11)))),
    concat('up_', lower(hex(sipHash64(n, 12))))
FROM numbers(%(count)s)
SETTINGS max_insert_threads = 2
"""


def name_of(number: int) -> str:
    """A tenant's id. The first has most calls."""
    return f"t_{number:08d}"


def fill(events: int, end: datetime, told: Callable[[str], None]) -> datetime:
    """Fill `usage_events` up to a moment; from when on."""
    from spend.clickhouse.client import command
    from spend.zones import ms_of

    begin = end - timedelta(days=MONTHS * 365 // 12)
    span = ms_of(end) - ms_of(begin)
    for start in range(0, events, AT_ONCE):
        count = min(AT_ONCE, events - start)
        parameters = {"begin": ms_of(begin), "span": span, "events": events, "start": start, "count": count}
        command(_FILL, parameters, purpose="bench")
        told(f"{start + count:,} events")
    return begin
