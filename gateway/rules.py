"""May this call be made? Pure functions over the policy documents; the same documents give the same answer for ever."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from wire.documents import Block, KeyPolicy, KeyStatus, TenantState, project_stopped
from wire.events import Denied

# What a refusal answers with. Official clients try again on 408, 409, 429 and 5xx only.
HTTP_STATUS = {
    Denied.KEY_MISSING: 401,
    Denied.KEY_MALFORMED: 401,
    Denied.KEY_UNKNOWN: 401,
    Denied.KEY_REVOKED: 401,
    Denied.KEY_DISABLED: 401,
    Denied.KEY_EXPIRED: 401,
    Denied.KEY_NOT_YET_VALID: 401,
    Denied.KEY_WRONG_ENVIRONMENT: 401,
    Denied.NETWORK_NOT_ALLOWED: 403,
    Denied.TENANT_SUSPENDED: 402,
    Denied.PROJECT_SUSPENDED: 402,
    Denied.BUDGET_EXHAUSTED: 402,
    Denied.MODEL_NOT_ALLOWED: 403,
    Denied.PROVIDER_NOT_ALLOWED: 403,
    Denied.TIER_NOT_ALLOWED: 403,
    Denied.MODEL_NOT_SELECTED: 404,
    Denied.PROVIDER_UNKNOWN: 404,
    Denied.MODEL_UNPRICED: 403,
    Denied.RATE_LIMITED: 429,
    Denied.ROUTE_UNKNOWN: 404,
    Denied.BODY_INVALID: 400,
    Denied.BODY_TOO_LARGE: 413,
    Denied.POLICY_UNAVAILABLE: 503,
    Denied.OUTBOX_UNAVAILABLE: 503,
}


_MAPPED_BITS = 96  # what stands before an IPv4 address in an IPv6 address that holds one


class Refusal(NamedTuple):
    """Why a call is refused: the reason code, and the sentence that a caller reads."""

    reason: Denied
    message: str
    retry_after: int = 0  # ms; 0 when no time can be named

    @property
    def http_status(self) -> int:
        """The status that the refusal answers with."""
        return HTTP_STATUS[self.reason]


class Asked(NamedTuple):
    """What a call asks for. `also` are further models that its body names as substitutes."""

    provider: str
    model: str
    also: tuple[str, ...] = ()


def decide(
    policy: KeyPolicy, tenant: TenantState | None, asked: Asked, *, env: str, now: int, address: str
) -> Refusal | None:
    """The first reason to refuse a call, None when there is none. `now` is Unix ms, `address` where the call comes from
    ("" when that is not known).
    """
    return (
        key_refusal(policy, env=env, now=now)
        or network_refusal(policy, address)
        or block_refusal(policy, tenant, now=now)
        or model_refusal(policy, asked)
    )


def key_refusal(policy: KeyPolicy, *, env: str, now: int) -> Refusal | None:
    """Whether the key itself works here and now."""
    if policy.status is KeyStatus.REVOKED:
        return Refusal(Denied.KEY_REVOKED, "This API key was revoked. Ask your administrator for a new one.")
    if policy.status is not KeyStatus.ACTIVE:
        return Refusal(Denied.KEY_DISABLED, "This API key is disabled. Ask your administrator to enable it.")
    if policy.env != env:
        return Refusal(Denied.KEY_WRONG_ENVIRONMENT, wrong_environment(policy.env, env))
    if policy.not_before and now < policy.not_before:
        return Refusal(Denied.KEY_NOT_YET_VALID, "This API key is not valid yet.")
    if policy.expires and now >= policy.expires:
        return Refusal(Denied.KEY_EXPIRED, "This API key has expired. Ask your administrator for a new one.")
    return None


def network_refusal(policy: KeyPolicy, address: str) -> Refusal | None:
    """Whether calls with this key may come from an address. One that is not known is in no network."""
    if not policy.networks or _within(policy.networks, address):
        return None
    where = f"from {address[:45]}" if address.isprintable() and address else "from an unknown address"
    return Refusal(Denied.NETWORK_NOT_ALLOWED, f"This API key may not be used {where}.")


def block_refusal(policy: KeyPolicy, tenant: TenantState | None, *, now: int) -> Refusal | None:
    """Whether the tenant or the project is stopped, or a block of the tenant or of the key is in force.

    What the tenant's document says of a project is newer than what the keys' own say, which are many.
    """
    if tenant is None:
        return _blocked((policy.block,), now)
    if tenant.suspended:
        return Refusal(Denied.TENANT_SUSPENDED, "This organisation is suspended. Ask its administrator.")
    if policy.project in tenant.stopped:
        return Refusal(Denied.PROJECT_SUSPENDED, project_stopped(tenant.stopped[policy.project]))
    own = policy.block
    if own is not None and own.reason == Denied.PROJECT_SUSPENDED:
        own = None
    return _blocked((tenant.block, own), now)


def _blocked(blocks: Iterable[Block | None], now: int) -> Refusal | None:
    for block in blocks:
        if block is not None and not (block.until and now >= block.until):
            return Refusal(_reason(block), block.message)
    return None


def model_refusal(policy: KeyPolicy, asked: Asked) -> Refusal | None:
    """Whether the key may use the provider and every model that the call names."""
    provider = asked.provider.lower()
    if _any_match(policy.denied_providers, (provider,)) or not _allowed(policy.allowed_providers, (provider,)):
        return Refusal(Denied.PROVIDER_NOT_ALLOWED, f"This API key may not use the provider {asked.provider}.")
    for model in (asked.model, *asked.also):
        name = model.lower()
        names = (name, f"{provider}/{name}")
        # A list of forbidden models holds for the model behind a reseller's prefix too (`openai/gpt-4o`).
        if _any_match(policy.denied_models, (*names, name.rpartition("/")[2])) or not _allowed(
            policy.allowed_models, names
        ):
            return Refusal(Denied.MODEL_NOT_ALLOWED, f"This API key may not use the model {model[:120]}.")
    return None


def wrong_environment(theirs: str, ours: str) -> str:
    """What a caller reads who brought another environment's key."""
    return f"This API key is for the environment {theirs}; this gateway serves {ours}."


def _reason(block: Block) -> Denied:
    try:
        return Denied(block.reason)
    except ValueError:
        return Denied.BUDGET_EXHAUSTED  # a code of a newer version: refused all the same


def _allowed(patterns: tuple[str, ...], names: Iterable[str]) -> bool:
    return not patterns or _any_match(patterns, names)


def _any_match(patterns: tuple[str, ...], names: Iterable[str]) -> bool:
    return bool(patterns) and any(_compiled(patterns).match(name) for name in names)


@lru_cache(maxsize=10_000)
def _within(networks: tuple[str, ...], address: str) -> bool:
    try:
        client = _plain(ip_address(address))
    except ValueError:
        return False
    return any(client in network for network in _parsed(networks))


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address that a dual-stack socket shows as `::ffff:192.0.2.1` is that IPv4 address (RFC 4291, 2.5.5.2)."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=10_000)
def _parsed(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks in CIDR notation. One that cannot be read lets nobody in."""
    found: list[IPv4Network | IPv6Network] = []
    for text in networks:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            continue
        mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
        if mapped is not None and network.prefixlen >= _MAPPED_BITS:
            network = IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
        found.append(network)
    return tuple(found)


@lru_cache(maxsize=10_000)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Names and wildcards (`*`, `?`, `[…]`) as one expression; case does not count."""
    return re.compile("|".join(f"(?:{translate(pattern.lower())})" for pattern in patterns))
