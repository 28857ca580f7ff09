"""Which stores carry an environment's documents, as the configuration names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

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


def stores_of(env: Env, environments: Sequence[str], *, data: Path, production: bool) -> dict[str, tuple[Store, ...]]:
    """Every environment's stores, in the order given. Raises SettingError with a sentence that says what to do.

    `SPENDOPS_KV_PROD` names those of one environment, `SPENDOPS_KV` those of all others, separated by commas:
    `embedded`, `redis://user:password@host:6379/0?namespace=…` (`rediss://` for TLS, `unix:///path`), or
    `cloudflare://account/namespace`. `{env}` stands for the environment's name. The first that a gateway can read is
    the one it reads; all are fed.
    """
    found: dict[str, tuple[Store, ...]] = {}
    owners: dict[str, str] = {}
    shared = env.secret("SPENDOPS_KV", Kind.EMBEDDED.value)
    for environment in environments:
        setting = f"SPENDOPS_KV_{environment.upper()}"
        own = env.secret(setting)
        name = setting if own else "SPENDOPS_KV"
        texts = [each.strip() for each in (own or shared).split(",") if each.strip()]
        stores = tuple(_store(text.replace("{env}", environment), name, environment, env, data) for text in texts)
        for store in stores:
            _refuse_open_traffic(store, name, env, production=production)
            place = f"{environment} {store.id}" if store.kind is Kind.EMBEDDED else store.id
            if place in owners:
                raise SettingError(
                    f"{name} names {store.id}, which belongs to {owners[place]} already: each environment needs a "
                    "namespace of its own. Write {env} into the address, or name another one."
                )
            owners[place] = environment
        found[environment] = stores
    return found


def _store(text: str, setting: str, environment: str, env: Env, data: Path) -> Store:
    if text == Kind.EMBEDDED.value:
        return Store(Kind.EMBEDDED, environment, "embedded", str(data / environment / "kv.sqlite3"))
    parts = urlsplit(text)
    if parts.scheme in ("redis", "rediss", "unix"):
        return _redis(text, setting, environment)
    if parts.scheme == "cloudflare":
        return _cloudflare(text, setting, environment, env)
    # what was written may be a password that lost its address: only the part that names a kind is repeated
    raise SettingError(
        f"{setting}={text.partition(':')[0]!r} is not known: choose embedded, redis://host:6379/0 or "
        "cloudflare://account/namespace."
    )


def _redis(text: str, setting: str, environment: str) -> Store:
    parts = urlsplit(text)
    unix = parts.scheme == "unix"
    asked = parse_qs(parts.query, keep_blank_values=True)
    namespace = asked.pop("namespace", [f"spendops-{environment}"])[-1]
    database = asked.pop("db", ["0"])[-1] if unix else (parts.path.strip("/") or "0")
    try:
        usable = bool(parts.path if unix else parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or asked or not database.isdigit() or not namespace.replace("-", "").replace("_", "").isalnum():
        raise SettingError(
            f"{setting} has a Redis address that cannot be used: write it like redis://user:password@host:6379/0, and "
            "?namespace=NAME of letters, digits, - and _ where the default spendops-ENV does not fit."
        )
    if unix:
        place = f"unix://{parts.path}?db={database}"
        address = parts._replace(query=f"db={database}").geturl()
    else:
        place = f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}/{database}"
        address = parts._replace(path=f"/{database}", query="").geturl()
    return Store(Kind.REDIS, environment, f"{place}#{namespace}", address, namespace=namespace)


def _cloudflare(text: str, setting: str, environment: str, env: Env) -> Store:
    parts = urlsplit(text)
    account, namespace = parts.netloc, parts.path.strip("/")
    if not account.isalnum() or not namespace.isalnum() or parts.query:
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
    base = env.text("SPENDOPS_CLOUDFLARE_API_URL", CLOUDFLARE_API).rstrip("/")
    address = f"{base}/accounts/{account}/storage/kv/namespaces/{namespace}"
    return Store(
        Kind.CLOUDFLARE, environment, f"cloudflare://{account}/{namespace}", address, namespace=namespace, token=token
    )


def _refuse_open_traffic(store: Store, setting: str, env: Env, *, production: bool) -> None:
    """Policy says who may spend: in production it does not travel unencrypted, unless that was said to be meant."""
    parts = urlsplit(store.address)
    encrypted = parts.scheme in ("rediss", "https", "unix", "")
    nearby = unquote(parts.hostname or "") in ("localhost", "127.0.0.1", "::1")
    if production and not encrypted and not nearby and not env.flag("SPENDOPS_KV_ALLOW_PLAIN", default=False):
        raise SettingError(
            f"{setting} names {store.id}, which is reached without TLS: use rediss:// or https://, or set "
            "SPENDOPS_KV_ALLOW_PLAIN=true when the network between is your own."
        )
