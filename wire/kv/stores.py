"""Which stores carry an environment's documents, as the configuration names them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from wire.env import Env, SettingError
from wire.kv.base import KV, ReadableKV
from wire.kv.embedded import EmbeddedKV


class Kind(StrEnum):
    """What a store is."""

    EMBEDDED = "embedded"
    REDIS = "redis"
    CLOUDFLARE = "cloudflare"


@dataclass(frozen=True)
class Store:
    """One namespace of one environment. `id` is what ledger and logs call it, and holds no secret."""

    kind: Kind
    env: str
    id: str
    address: str = field(repr=False)  # a path, or a URL that may hold a password
    namespace: str = ""
    token: str = field(default="", repr=False)

    @property
    def readable(self) -> bool:
        """Whether gateways of ours read it: Cloudflare's is for Workers at its edge."""
        return self.kind is not Kind.CLOUDFLARE

    def open(self) -> KV:
        """Open the namespace. Raises StoreUnavailableError or StoreRefusedError."""
        if self.kind is Kind.CLOUDFLARE:
            from wire.kv.cloudflare import CloudflareKV

            return CloudflareKV(self.address, token=self.token)
        return self.open_readable()

    def open_readable(self) -> ReadableKV:
        """Open a namespace that tells what changed."""
        if self.kind is Kind.EMBEDDED:
            return EmbeddedKV(Path(self.address))
        if self.kind is Kind.REDIS:
            from wire.kv.redis import RedisKV

            return RedisKV(self.address, namespace=self.namespace)
        raise SettingError(f"{self.id} cannot be read by a gateway: name a Redis or the embedded store beside it.")


CLOUDFLARE_API = "https://api.cloudflare.com/client/v4"

_ID_LONGEST = 255  # characters, in the ledger
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,5}")
_CLOUDFLARE_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_NEARBY = ("localhost", "127.0.0.1", "::1")


def stores_of(env: Env, environments: Sequence[str], *, data: Path, production: bool) -> dict[str, tuple[Store, ...]]:
    """Every environment's stores, in the order given. Raises SettingError with a sentence that says what to do.

    `SPENDOPS_KV_PROD` names those of one environment, `SPENDOPS_KV` those of all others, separated by commas:
    `embedded`, `redis://user:password@host:6379/0?namespace=…` (`rediss://` for TLS, `unix:///path`), or
    `cloudflare://account/namespace`. `{env}` stands for the environment's name. The first that a gateway can read is
    the one it reads; all are fed. Special characters of a password are percent-encoded, the comma too.
    """
    found: dict[str, tuple[Store, ...]] = {}
    owners: dict[str, str] = {}
    shared = env.secret("SPENDOPS_KV", Kind.EMBEDDED.value)
    for environment in environments:
        own = env.secret(f"SPENDOPS_KV_{environment.upper()}")
        setting = f"SPENDOPS_KV_{environment.upper()}" if own else "SPENDOPS_KV"
        texts = [each.strip() for each in (own or shared).split(",") if each.strip()]
        if not texts:
            raise SettingError(f"{setting} names no store: write embedded, or leave it out.")
        stores = tuple(_store(text.replace("{env}", environment), setting, environment, env, data) for text in texts)
        for store in stores:
            _refuse_open_traffic(store, setting, env, production=production)
            if len(store.id) > _ID_LONGEST:
                raise SettingError(f"{setting} has an address that is longer than {_ID_LONGEST} characters.")
            place = f"{environment} {store.id}" if store.kind is Kind.EMBEDDED else store.id
            owner = owners.setdefault(place, environment)
            if owner != environment:
                raise SettingError(
                    f"{setting} names {store.id}, which belongs to {owner} already: each environment needs a "
                    "namespace of its own. Write {env} into the address, or name another one."
                )
        if len({store.id for store in stores}) < len(stores):
            raise SettingError(f"{setting} names one store twice: write each once.")
        found[environment] = stores
    return found


def _store(text: str, setting: str, environment: str, env: Env, data: Path) -> Store:
    if text == Kind.EMBEDDED.value:
        return Store(Kind.EMBEDDED, environment, "embedded", str(data / environment / "kv.sqlite3"))
    kind, separator, _ = text.partition("://")
    if separator and kind in ("redis", "rediss", "unix"):
        return _redis(text, setting, environment)
    if separator and kind == "cloudflare":
        return _cloudflare(text, setting, environment, env)
    # what was written may be a password that lost its address: only what can be nothing but a kind is repeated
    named = f"{setting}={kind!r}" if re.fullmatch(r"[a-z]{2,12}", kind) else f"What {setting} names"
    raise SettingError(f"{named} is not known: choose embedded, redis://host:6379/0 or cloudflare://account/namespace.")


def _redis(text: str, setting: str, environment: str) -> Store:
    found = _redis_parts(text)
    if found is None:
        raise SettingError(
            f"{setting} has a Redis address that cannot be used: write it like redis://user:password@host:6379/0, or "
            "unix:///path/of/the/socket, with special characters of the password percent-encoded, and ?namespace=NAME "
            "of letters, digits, - and _ where the default spendops-ENV does not fit."
        )
    parts, database, namespace = found
    namespace = namespace or f"spendops-{environment}"
    if parts.scheme == "unix":
        place = f"unix://{parts.path}?db={database}"
        address = f"unix://{parts.netloc}{parts.path}?db={database}"
    else:
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        place = f"{parts.scheme}://{host}:{parts.port or 6379}/{database}"
        address = f"{parts.scheme}://{parts.netloc}/{database}"
    return Store(Kind.REDIS, environment, f"{place}#{namespace}", address, namespace=namespace)


def _redis_parts(text: str) -> tuple[SplitResult, str, str] | None:
    """The address, the database's number, and the namespace or ""; None when it cannot be used."""
    try:
        parts = urlsplit(text)
        asked = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        there = bool(parts.path.strip("/")) if parts.scheme == "unix" else bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port that is no number, or a bracket in a password
        return None
    given = asked.pop("namespace", None)
    namespace = given[0] if given else ""
    if parts.scheme == "unix":
        database = asked.pop("db", ["0"])[0]
        there = there and not parts.hostname
    else:
        database = parts.path.strip("/") or "0"
    usable = there and not asked and not parts.fragment and _NUMBER.fullmatch(database)
    if not usable or (given and (len(given) > 1 or not _NAMESPACE.fullmatch(namespace))):
        return None
    return parts, str(int(database)), namespace


def _cloudflare(text: str, setting: str, environment: str, env: Env) -> Store:
    account, _, namespace = text.removeprefix("cloudflare://").partition("/")
    if not _CLOUDFLARE_ID.fullmatch(account) or not _CLOUDFLARE_ID.fullmatch(namespace):
        raise SettingError(
            f"{setting} has a Cloudflare namespace that cannot be used: write it like cloudflare://ACCOUNT/NAMESPACE "
            "with the two ids that Cloudflare's dashboard shows."
        )
    token = env.secret("SPENDOPS_CLOUDFLARE_API_TOKEN")
    if not token:
        raise SettingError(
            f"{setting} names a Cloudflare namespace, but SPENDOPS_CLOUDFLARE_API_TOKEN is not set: make a token that "
            "may edit Workers KV and nothing else."
        )
    address = f"{_cloudflare_api(env)}/accounts/{account}/storage/kv/namespaces/{namespace}"
    return Store(
        Kind.CLOUDFLARE, environment, f"cloudflare://{account}/{namespace}", address, namespace=namespace, token=token
    )


def _cloudflare_api(env: Env) -> str:
    base = env.text("SPENDOPS_CLOUDFLARE_API_URL", CLOUDFLARE_API).rstrip("/")
    try:
        parts = urlsplit(base)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingError(
            f"SPENDOPS_CLOUDFLARE_API_URL is not an address that can be used: leave it out for {CLOUDFLARE_API}."
        )
    return base


def _refuse_open_traffic(store: Store, setting: str, env: Env, *, production: bool) -> None:
    """Policy says who may spend: in production it does not travel unencrypted, unless that was said to be meant."""
    parts = urlsplit(store.address)
    plain = parts.scheme in ("redis", "http") and parts.hostname not in _NEARBY
    if production and plain and not env.flag("SPENDOPS_KV_ALLOW_PLAIN", default=False):
        raise SettingError(
            f"{setting} names {store.id}, which is reached without TLS: use rediss:// or https://, or set "
            "SPENDOPS_KV_ALLOW_PLAIN=true when the network between is your own."
        )
