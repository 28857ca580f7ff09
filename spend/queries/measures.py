"""What is counted of usage, once for events and once for the rollup. The recount sums up by the same expressions."""

from __future__ import annotations

from wire.events import Status

FAILED = (Status.ERROR.value, Status.UNREACHABLE.value, Status.INTERRUPTED.value)  # a caller that leaves is no error

# of events; an adjustment is money without a call, and a bucket of a provider's report stands for many calls
OF_EVENTS = {
    "requests": "sumIf(usage_events.calls, kind = 'call')",
    "input_tokens": "sum(input_tokens)",
    "output_tokens": "sum(output_tokens)",
    "cached_tokens": "sum(cached_tokens)",
    "unpriced_requests": "sumIf(usage_events.calls, isNull(charge) AND kind = 'call')",
    "unpriced_tokens": "sumIf(input_tokens + output_tokens, isNull(charge))",
    "cost": "sum(ifNull(cost, toDecimal128(0, 12)))",
    "charge": "sum(ifNull(charge, toDecimal128(0, 12)))",
    "duration_ms": "sum(toUInt64(usage_events.duration_ms))",
    "errors": f"sumIf(usage_events.calls, kind = 'call' AND status IN {FAILED})",
}
OF_DAYS = {name: f"sum({name})" for name in OF_EVENTS} | {"errors": f"sumIf(requests, status IN {FAILED})"}
