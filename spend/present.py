"""Events as the pages show them: names for ids, words for codes."""

from __future__ import annotations

from typing import Any

from spend.forms import REASONS, STATUSES
from spend.names import MODEL_UNKNOWN, Names, unnamed
from spend.queries.denials import DenialRow
from spend.queries.requests import RequestRow
from wire.display import count, duration, moment_exact, usd_exact
from wire.events import Denied, Status, UsageSource
from wire.units import UNITS

_KINDS = {Status.OK: "ok", Status.CANCELLED: "", Status.INTERRUPTED: "warn"}
_SOURCES = {
    UsageSource.PROVIDER: "the provider's own count",
    UsageSource.ESTIMATED: "estimated",
    UsageSource.IMPORTED: "imported",
}

Fact = tuple[str, str, bool]  # name, value, whether it is code


def shown_request(row: RequestRow, names: Names) -> dict[str, Any]:
    """What the list and the page's head say about a call."""
    status = Status(row.status)
    return {
        "event_id": row.event_id,
        "at": row.ts,
        "model": row.model_asked or MODEL_UNKNOWN,
        "provider": row.provider,
        "env": row.env,
        "project": names.projects.get(row.project) or unnamed("project")(row.project),
        "key": names.keys.get(row.key) or unnamed("key")(row.key),
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "tokens": row.input_tokens + row.output_tokens,
        "duration_ms": row.duration_ms,
        "ttfb_ms": row.ttfb_ms,
        "cost": row.cost,
        "charge": row.charge,
        "override_version": row.override_version,
        "http_status": row.http_status,
        "status_kind": _KINDS.get(status, "bad"),
        "status_label": STATUSES[status],
    }


def shown_denial(row: DenialRow, names: Names) -> dict[str, Any]:
    """A refused call in the list."""
    return {
        "event_id": row.event_id,
        "at": row.ts,
        "reason": reason_label(row.reason),
        "model": row.model_asked,
        "project": names.projects.get(row.project) or unnamed("project")(row.project),
        "key": names.keys.get(row.key) or unnamed("key")(row.key),
        "env": row.env,
        "http_status": row.http_status,
        "request_id": row.request_id,
    }


def reason_label(reason: str) -> str:
    """A reason code in words; the code itself when it is of a newer gateway."""
    return REASONS[Denied(reason)] if reason in list(Denied) else reason


def facts_of(row: RequestRow, names: Names, zone: str) -> list[Fact]:
    """All that is known of a call, without what it did not have."""
    units = ", ".join(
        f"{count(number)} {UNITS[unit].label if unit in UNITS else unit}" for unit, number in row.units.items()
    )
    tags = ", ".join(f"{name}={value}" for name, value in sorted(row.tags.items()))
    every: list[Fact] = [
        ("Event", str(row.event_id), True),
        ("Revision", count(row.rev) if row.rev > 1 else "", False),
        ("Arrived", moment_exact(row.ts, zone), False),
        ("Environment", row.env, False),
        ("Project", names.projects.get(row.project, row.project), False),
        ("API key", names.keys.get(row.key, row.key), False),
        ("Key's id", row.key, True),
        ("Route", row.route, True),
        ("Provider", row.provider, False),
        ("Model asked", row.model_asked, True),
        ("Priced as", row.model_priced or "not priced", bool(row.model_priced)),
        ("Tier", row.tier, False),
        ("Service tier", row.service_tier, False),
        ("Used", units or "nothing", False),
        ("Counted by", _SOURCES[UsageSource(row.usage_source)], False),
        ("Cost", "unpriced" if row.cost is None else usd_exact(row.cost), False),
        ("Charged", "unpriced" if row.charge is None else usd_exact(row.charge), False),
        ("Streamed", "yes" if row.streamed else "no", False),
        ("From the cache", "yes" if row.cached else "", False),
        ("First byte after", duration(row.ttfb_ms) if row.ttfb_ms else "", False),
        ("Took", duration(row.duration_ms), False),
        ("HTTP status", str(row.http_status), False),
        ("Request id", row.request_id, True),
        ("Provider's request id", row.upstream_request_id, True),
        ("End user", row.end_user, False),
        ("Session", row.session, True),
        ("Tags", tags, True),
        ("Credential", row.credential, True),
    ]
    return [fact for fact in every if fact[1]]
