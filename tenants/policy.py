"""What an API key may do: all of it in one value, and what each part may be. Pure.

`KeySettings` is what forms, the API and commands hand to the actions. Its `clean()` returns what is stored, or raises
RefusedError with the field at fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any

from tenants.errors import InvalidSettingError
from tenants.rules import EXPIRY_MOST_YEARS, PATTERN_LONGEST, PATTERNS_MOST, clean_expiry, clean_name, clean_patterns
from tenants.tags import clean_tags

if TYPE_CHECKING:
    from tenants.models import ApiKey

NETWORKS_MOST = 100
EXPIRES_SOON = timedelta(days=14)  # from then on lists and pages warn
TIERS = ("bulk", "standard", "frontier")  # the cheapest models first
LIMITS_MOST = {"rpm": 1_000_000, "tpm": 10_000_000_000, "concurrency": 100_000}

_PROVIDER = re.compile(r"[\w.\-/*?\[\]!]+", re.ASCII)
_LIMITS = {"rpm": "requests a minute", "tpm": "tokens a minute", "concurrency": "calls at the same time"}
_COLUMNS = {"project": "project_id", "owner": "owner_id"}  # where a column of ApiKey is called otherwise
_EMPTY_ALLOWS_ALL = ("allowed_models", "allowed_providers", "networks")
_DENIED = ("denied_models", "denied_providers")


@dataclass(frozen=True, kw_only=True)
class KeySettings:
    """Everything about a key that people choose and may change: its name, whose it is, and what it may do.

    `project` and `owner` are ids; an empty list allows everything (`denied_…`: denies nothing), a limit of 0 is none.
    """

    name: str
    project: str
    owner: str = ""
    not_before: datetime | None = None
    expires_at: datetime | None = None
    allowed_models: Sequence[str] = ()
    denied_models: Sequence[str] = ()
    allowed_providers: Sequence[str] = ()
    denied_providers: Sequence[str] = ()
    networks: Sequence[str] = ()
    tier: str = ""
    rpm: int = 0
    tpm: int = 0
    concurrency: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)

    def clean(self, *, now: datetime, standing: KeySettings | None = None) -> KeySettings:
        """As it is stored. What is as it stands now is not refused for having become old, such as a past expiry."""
        expires_at = self.expires_at
        if standing is None or expires_at != standing.expires_at:
            expires_at = clean_expiry(expires_at, now=now)
        return replace(
            self,
            name=clean_name(self.name, what="key"),
            not_before=clean_not_before(self.not_before, now=now, expires_at=expires_at),
            expires_at=expires_at,
            allowed_models=clean_patterns(self.allowed_models, field="allowed_models"),
            denied_models=clean_patterns(self.denied_models, field="denied_models"),
            allowed_providers=clean_providers(self.allowed_providers, field="allowed_providers"),
            denied_providers=clean_providers(self.denied_providers, field="denied_providers"),
            networks=clean_networks(self.networks),
            tier=clean_tier(self.tier),
            tags=clean_tags(self.tags),
            rpm=clean_limit(self.rpm, field="rpm"),
            tpm=clean_limit(self.tpm, field="tpm"),
            concurrency=clean_limit(self.concurrency, field="concurrency"),
        )

    def columns(self) -> dict[str, Any]:
        """The values by the names of ApiKey's columns."""
        return {_COLUMNS.get(each.name, each.name): getattr(self, each.name) for each in fields(self)}

    def described(self) -> dict[str, Any]:
        """What the audit trail keeps, by field."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()}


def settings_of(key: ApiKey) -> KeySettings:
    """A key's settings as they are stored."""
    return KeySettings(
        **{each.name: getattr(key, _COLUMNS.get(each.name, each.name)) for each in fields(KeySettings)},
    )


def takes_away(before: KeySettings, after: KeySettings) -> bool:
    """Whether a call that passed before may be refused after: then gateways must hear of it before all else."""
    return (
        any(_allows_less(getattr(before, name), getattr(after, name)) for name in _EMPTY_ALLOWS_ALL)
        or any(set(getattr(after, name)) - set(getattr(before, name)) for name in _DENIED)
        or any(0 < getattr(after, name) < (getattr(before, name) or float("inf")) for name in _LIMITS)
        or (after.expires_at is not None and (before.expires_at is None or after.expires_at < before.expires_at))
        or (after.not_before is not None and (before.not_before is None or after.not_before > before.not_before))
        or after.tier != before.tier
        or after.project != before.project  # the new one may be suspended
    )


def _allows_less(before: Iterable[str], after: Iterable[str]) -> bool:
    had, has = set(before), set(after)
    return bool(has) and (not had or bool(had - has))


def clean_not_before(not_before: datetime | None, *, now: datetime, expires_at: datetime | None) -> datetime | None:
    """The moment from which a key works, before the one until which it does; None for at once."""
    if not_before is None:
        return None
    if not_before.tzinfo is None:
        raise ValueError("The first moment needs a time zone.")
    if not_before.year > now.year + EXPIRY_MOST_YEARS:
        raise InvalidSettingError(
            f"The key would begin to work more than {EXPIRY_MOST_YEARS} years ahead: choose an earlier day.",
            field="not_before",
        )
    if expires_at is not None and not_before >= expires_at:
        raise InvalidSettingError(
            "The key would begin to work only after its expiry: choose an earlier beginning, or a later expiry.",
            field="not_before",
        )
    return not_before


def clean_providers(names: Iterable[str], *, field: str) -> list[str]:
    """Names of providers or wildcards like `azure*`, in small letters. One that nobody calls is simply never met."""
    found = list(dict.fromkeys(each.strip().lower() for each in names if each.strip()))
    if len(found) > PATTERNS_MOST:
        raise InvalidSettingError(
            f"{len(found)} providers are listed: list at most {PATTERNS_MOST}, with wildcards like azure*.", field=field
        )
    for each in found:
        if len(each) > PATTERN_LONGEST or not _PROVIDER.fullmatch(each):
            raise InvalidSettingError(
                f"{each[:60]!r} cannot be a provider's name: write it like openai, anthropic or azure*.", field=field
            )
    return found


def clean_networks(networks: Iterable[str]) -> list[str]:
    """CIDR blocks or single addresses, of IPv4 or IPv6, each as a block: `192.0.2.7/32`, `2001:db8::/48`."""
    found = list(dict.fromkeys(str(_network(each.strip())) for each in networks if each.strip()))
    if len(found) > NETWORKS_MOST:
        raise InvalidSettingError(
            f"{len(found)} networks are listed: list at most {NETWORKS_MOST}, with blocks like 192.0.2.0/24.",
            field="networks",
        )
    return found


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidSettingError(
            f"{text[:60]!r} is no network: write an address like 192.0.2.7 or 2001:db8::7, or a block like "
            "192.0.2.0/24.",
            field="networks",
        ) from error
    given, _, length = text.partition("/")
    if "%" in given:
        raise InvalidSettingError(
            f"{text[:60]!r} names an interface: write the address without the part from % on.", field="networks"
        )
    if length and ip_network(given) != ip_network(network.network_address):
        raise InvalidSettingError(
            f"{text[:60]} is an address inside a block: write {network} for the whole block, or {given} for this one "
            "address.",
            field="networks",
        )
    mapped = network.network_address.ipv4_mapped if isinstance(network.network_address, IPv6Address) else None
    # callers over IPv4 are seen as such, whatever the socket
    return ip_network(f"{mapped}/{network.prefixlen - 96}") if mapped and network.prefixlen >= 96 else network


def clean_tier(tier: str) -> str:
    """Which models a call gets that leaves the choice to the gateway; "" leaves it as the caller asks."""
    if tier and tier not in TIERS:
        raise InvalidSettingError(f"There is no tier {tier[:60]!r}: choose one of {', '.join(TIERS)}.", field="tier")
    return tier


def clean_limit(limit: int, *, field: str) -> int:
    """How many requests or tokens a minute, or calls at once; 0 for any number."""
    if not 0 <= limit <= LIMITS_MOST[field]:
        raise InvalidSettingError(
            f"Write how many {_LIMITS[field]} there may be, at most {LIMITS_MOST[field]:,}; nothing or 0 for no limit.",
            field=field,
        )
    return limit
