"""The two events of the ring, as they travel on queues: JSON objects, one a message.

Extended only by adding fields with defaults: a consumer of an older or newer version must understand both.
Money is a decimal string of USD with twelve places (`wire.money.usd_string`); times are Unix milliseconds, UTC.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

TAGS_MOST = 16
TAG_NAME_LONGEST = 64
TAG_VALUE_LONGEST = 256
END_USER_LONGEST = 256


class UsageSource(StrEnum):
    """Where the counted units come from."""

    PROVIDER = "provider"
    ESTIMATED = "estimated"
    IMPORTED = "imported"


class Status(StrEnum):
    """How a forwarded call ended."""

    OK = "ok"
    ERROR = "error"  # the provider answered with an error
    UNREACHABLE = "unreachable"  # the provider could not be reached, or ran into a time-out
    INTERRUPTED = "interrupted"  # the provider's stream broke off
    CANCELLED = "cancelled"  # the caller went away before the end


class Denied(StrEnum):
    """Why a call was refused: the reason codes of denial events and of the errors a caller sees."""

    KEY_MISSING = "key_missing"
    KEY_MALFORMED = "key_malformed"
    KEY_UNKNOWN = "key_unknown"
    KEY_REVOKED = "key_revoked"
    KEY_DISABLED = "key_disabled"
    KEY_EXPIRED = "key_expired"
    KEY_NOT_YET_VALID = "key_not_yet_valid"
    KEY_WRONG_ENVIRONMENT = "key_wrong_environment"
    NETWORK_NOT_ALLOWED = "network_not_allowed"
    TENANT_SUSPENDED = "tenant_suspended"
    PROJECT_SUSPENDED = "project_suspended"
    BUDGET_EXHAUSTED = "budget_exhausted"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    PROVIDER_NOT_ALLOWED = "provider_not_allowed"
    TIER_NOT_ALLOWED = "tier_not_allowed"
    MODEL_NOT_SELECTED = "model_not_selected"
    PROVIDER_UNKNOWN = "provider_unknown"
    MODEL_UNPRICED = "model_unpriced"
    RATE_LIMITED = "rate_limited"
    ROUTE_UNKNOWN = "route_unknown"
    BODY_INVALID = "body_invalid"
    BODY_TOO_LARGE = "body_too_large"
    POLICY_UNAVAILABLE = "policy_unavailable"
    OUTBOX_UNAVAILABLE = "outbox_unavailable"


# `gc=False`: an event holds texts, numbers and maps of these, never a circle, and they are decoded by the thousand
class UsageEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One call that was forwarded to a provider.

    `ts`, `tenant` and `key` of an `event_id` never change; a re-rating writes the same event with a higher `rev`.
    """

    event_id: str  # UUIDv7 of the arrival
    rev: int = 1
    ts: int  # arrival at the gateway
    env: str
    tenant: str
    project: str
    key: str
    end_user: str = ""
    tags: dict[str, str] = {}
    tier: str = ""
    route: str
    provider: str
    model_asked: str
    model_priced: str = ""  # "" when no price was found
    units: dict[str, int] = {}
    price_version: int = 0
    override_version: int = 0
    cost: str | None = None  # what the provider charges; None when unpriced
    charge: str | None = None  # what the tenant is charged: cost, unless an override says otherwise
    usage_source: UsageSource = UsageSource.PROVIDER
    kind: str = "call"  # or "adjustment": money without a call
    calls: int = 1  # how many calls it stands for: a bucket of a provider's report may hold many, or none any more
    adjusts: str = ""  # the event that this one corrects, or stands for, because its month was sealed
    source: str = ""  # where usage that did not pass the gateway was imported from
    service_tier: str = ""
    session: str = ""
    credential: str = ""
    upstream_request_id: str = ""
    status: Status = Status.OK
    http_status: int
    ttfb_ms: int = 0
    duration_ms: int = 0
    streamed: bool = False
    cached: bool = False
    request_id: str = ""


class DenialEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One call that was refused. `key` is the key's id, or only its public id when the key is not known."""

    event_id: str
    ts: int
    env: str
    tenant: str = ""
    project: str = ""
    key: str = ""
    route: str
    model_asked: str = ""
    reason: Denied
    revs: dict[str, int] = {}  # the revs of the documents that decided, by KV key
    http_status: int
    request_id: str = ""


encode = msgspec.json.Encoder().encode
decode_usage = msgspec.json.Decoder(UsageEvent).decode
decode_denial = msgspec.json.Decoder(DenialEvent).decode
