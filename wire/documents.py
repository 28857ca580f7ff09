"""The documents that the management plane publishes to KV and the gateway reads.

Every document carries `schema` (of this form), `rev` (which only grows) and `env`. Readers ignore fields they do not
know, so fields may be added; a field's meaning never changes within a schema.
"""

from __future__ import annotations

import re
from enum import StrEnum
from urllib.parse import quote

import msgspec

SCHEMA = 1

META_ENV = "meta:env"
PRICING_BLOB = "pricing:blob"
PRICING_VERSION = "pricing:version"

TENANT_PRICING_PREFIX = "pricing:tenant:"
ROUTING_PREFIX = "routing:tenant:"

TIERS = ("bulk", "standard", "frontier")  # the cheapest models first
USES = ("chat", "responses", "embeddings", "messages")  # what a gateway may be asked for, one word a route

MISSING_PREFIX = "missing:"
_NAME_LONGEST = 120
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")


class KeyStatus(StrEnum):
    """Whether a key works. A revoked key keeps its document for a day, so that the refusal can say why."""

    ACTIVE = "active"
    DISABLED = "disabled"
    REVOKED = "revoked"


class Block(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why calls are refused. `message` is what a caller reads; `until` is Unix ms, 0 when it ends only by a change."""

    reason: str  # a `wire.events.Denied` code
    message: str
    budget: str = ""
    until: int = 0


class KeyPricing(msgspec.Struct, frozen=True, omit_defaults=True):
    """The oldest price book a gateway may use for this key, and the version of its tenant's overrides."""

    min_version: int = 0
    tenant_version: int = 0


class KeyPolicy(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`key:{hash}`: what one API key may do. Lists hold names or wildcards (`gpt-4o*`); an empty one allows all."""

    schema: int = SCHEMA
    rev: int
    env: str
    tenant: str
    project: str
    key: str
    status: KeyStatus = KeyStatus.ACTIVE
    not_before: int = 0  # Unix ms
    expires: int = 0  # Unix ms; 0 = never
    allowed_models: tuple[str, ...] = ()
    denied_models: tuple[str, ...] = ()
    allowed_providers: tuple[str, ...] = ()
    denied_providers: tuple[str, ...] = ()
    tier: str = ""
    rpm: int = 0  # requests a minute; 0 = no limit
    tpm: int = 0
    concurrency: int = 0
    tags: dict[str, str] = {}
    networks: tuple[str, ...] = ()  # CIDR blocks that calls may come from; none = from anywhere
    budgets: tuple[str, ...] = ()
    block: Block | None = None
    pricing: KeyPricing = KeyPricing()


class TenantState(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`tenant:{tid}`: what holds for all keys of a tenant, so that a tripped budget writes one document."""

    schema: int = SCHEMA
    rev: int
    env: str
    tenant: str
    suspended: bool = False
    stopped: dict[str, str] = {}  # projects that are not active, with their status: stopping one writes one document
    block: Block | None = None


class Selected(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The model that a tier stands for in one use: for the whole tenant, or for one of its projects."""

    use: str  # one of USES
    tier: str  # one of TIERS
    provider: str
    model: str
    project: str = ""  # "" for all that have none of their own


class TenantRouting(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`routing:tenant:{tid}`: the models that a tenant chose for callers who ask for a tier and not for a model."""

    schema: int = SCHEMA
    rev: int
    env: str
    tenant: str
    selections: tuple[Selected, ...] = ()


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """`missing:{provider}:{model}`: a model that was used and has no price. Written once, by a gateway only."""

    schema: int = SCHEMA
    env: str
    provider: str
    model: str
    first_seen: int  # Unix ms
    tenant: str
    event_id: str


def project_stopped(status: str) -> str:
    """What a caller reads whose key belongs to a project that is suspended or archived."""
    return f"This API key's project is {status}. Ask its administrator."


def key_document(key_hash: str) -> str:
    """The KV key of an API key's policy."""
    return f"key:{key_hash}"


def tenant_document(tenant_id: str) -> str:
    """The KV key of a tenant's state."""
    return f"tenant:{tenant_id}"


def tenant_pricing_document(tenant_id: str) -> str:
    """The KV key of a tenant's overrides (`wire.overrides.TenantPricing`)."""
    return f"{TENANT_PRICING_PREFIX}{tenant_id}"


def routing_document(tenant_id: str) -> str:
    """The KV key of what a tenant's tiers stand for."""
    return f"{ROUTING_PREFIX}{tenant_id}"


def missing_document(provider: str, model: str) -> str:
    """The KV key of an unpriced model's flag: names come from callers, so they are capped and percent-encoded."""
    return f"{MISSING_PREFIX}{_encoded(provider)}:{_encoded(model)}"


def _encoded(name: str) -> str:
    encoded = quote(_UNPRINTABLE.sub("?", name[:_NAME_LONGEST]), safe="-._~/")
    return encoded[: _NAME_LONGEST * 3]


encode = msgspec.json.Encoder().encode
decode_key = msgspec.json.Decoder(KeyPolicy).decode
decode_tenant = msgspec.json.Decoder(TenantState).decode
decode_routing = msgspec.json.Decoder(TenantRouting).decode
decode_missing = msgspec.json.Decoder(Missing).decode
