"""The gateway's settings, read from the environment once, at the start."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway.providers.base import SANDBOX_CREDENTIAL, Kind, Provider
from gateway.providers.registry import KINDS
from wire.config import Config
from wire.env import Env, SettingError

MIB = 2**20
SANDBOX_PORT = 8190
_TOKEN_LEAST = 16
_SANDBOX_SECRET = "sandbox"  # it asks for none, and is sent one like any provider


@dataclass(frozen=True)
class Timeouts:
    """Seconds. A caller's request may take `body` to come in whole.

    A plain call's answer may take `total`; a stream's first byte must come within `first_byte`.
    """

    body: float = 60.0
    connect: float = 30.0
    first_byte: float = 30.0
    total: float = 300.0
    idle: float = 300.0  # between two pieces of a stream, on either side
    drain: int = 30  # for calls in flight when the process is told to stop


@dataclass(frozen=True)
class Settings:
    """Everything a gateway process is told. Make one with `Settings.load()`."""

    env: str
    host: str
    port: int
    port_setting: str
    shared: Config
    providers: dict[str, Provider]
    timeouts: Timeouts
    body_most: int  # bytes
    kv_stale: int  # seconds that calls may go on without KV; 0: not at all
    behind_proxy: bool
    metrics_token: str = field(repr=False)  # "": metrics are for this machine only
    log_level: str
    log_format: str

    @property
    def last_known(self) -> Path:
        """The local copy of policy."""
        return self.shared.data / self.env / "last-known.sqlite3"

    @classmethod
    def load(cls, environment: str, env: Env | None = None) -> Settings:
        """Read the settings of one environment's gateway. Raises SettingError with a sentence that says what to do."""
        env = env or Env()
        shared = Config.load(env)
        if environment not in shared.environments:
            raise SettingError(
                f"There is no environment {environment!r}: choose one of {', '.join(shared.environments)} "
                "(SPENDOPS_ENVIRONMENTS lists them)."
            )
        shared.readable_store(environment)  # said here, before anything is opened
        port_setting = f"SPENDOPS_GATEWAY_PORT_{environment.upper()}"
        default = Timeouts()
        return cls(
            env=environment,
            host=env.text("SPENDOPS_BIND", "127.0.0.1"),
            port=env.port(port_setting, 8101 + shared.environments.index(environment)),
            port_setting=port_setting,
            shared=shared,
            providers=_providers(env, production=shared.production),
            timeouts=Timeouts(
                body=env.number("SPENDOPS_GATEWAY_BODY_SECONDS", int(default.body), least=1, most=3600),
                connect=env.number("SPENDOPS_UPSTREAM_CONNECT_SECONDS", int(default.connect), least=1, most=600),
                first_byte=env.number(
                    "SPENDOPS_UPSTREAM_FIRST_BYTE_SECONDS", int(default.first_byte), least=1, most=3600
                ),
                total=env.number("SPENDOPS_UPSTREAM_TOTAL_SECONDS", int(default.total), least=1, most=3600),
                idle=env.number("SPENDOPS_UPSTREAM_IDLE_SECONDS", int(default.idle), least=1, most=3600),
                drain=env.number("SPENDOPS_GATEWAY_DRAIN_SECONDS", default.drain, least=0, most=3600),
            ),
            body_most=env.number("SPENDOPS_GATEWAY_BODY_MIB", 20, least=1, most=512) * MIB,
            kv_stale=env.number("SPENDOPS_KV_STALE_SECONDS", 3600, least=0, most=30 * 86400),
            behind_proxy=env.flag("SPENDOPS_BEHIND_PROXY", default=False),
            metrics_token=_metrics_token(env),
            log_level=env.choice("SPENDOPS_LOG_LEVEL", "info", {"debug", "info", "warning", "error"}),
            log_format=env.choice(
                "SPENDOPS_LOG_FORMAT", "json" if shared.production else "console", {"json", "console"}
            ),
        )


def sandbox_port(env: Env) -> int:
    """The port of the sandbox provider on this machine."""
    return env.port("SPENDOPS_SANDBOX_PORT", SANDBOX_PORT)


def _metrics_token(env: Env) -> str:
    token = env.secret("SPENDOPS_METRICS_TOKEN")
    if token and (len(token) < _TOKEN_LEAST or not token.isascii() or not token.isprintable() or " " in token):
        raise SettingError(
            f"SPENDOPS_METRICS_TOKEN cannot be used: write {_TOKEN_LEAST} or more letters, digits and signs, no spaces."
        )
    return token


def _providers(env: Env, *, production: bool) -> dict[str, Provider]:
    sandbox = env.flag("SPENDOPS_SANDBOX", default=not production)
    sandbox_url = f"http://127.0.0.1:{sandbox_port(env)}/v1"
    configured = {}
    for kind in KINDS:
        provider = _provider(kind, env, sandbox_url if sandbox else "", production=production)
        if provider is not None:
            configured[kind.name] = provider
    return configured


def _provider(kind: Kind, env: Env, sandbox_url: str, *, production: bool) -> Provider | None:
    prefix = f"SPENDOPS_PROVIDER_{kind.name.upper().replace('-', '_')}"
    secret = env.secret(f"{prefix}_API_KEY")
    given = env.text(f"{prefix}_BASE_URL")
    if not secret.isprintable() or not secret.isascii() or " " in secret:
        raise SettingError(f"{prefix}_API_KEY has characters that no header may carry: check what was pasted.")
    if given:
        _check_base_url(f"{prefix}_BASE_URL", given, production=production)
    if secret or given:
        # An address with no credential is a server of one's own that asks for none.
        return Provider(kind, base_url=given or kind.base_url, secret=secret, credential="default" if secret else "")
    if sandbox_url:
        return Provider(kind, base_url=sandbox_url, secret=_SANDBOX_SECRET, credential=SANDBOX_CREDENTIAL)
    return None


def _check_base_url(name: str, url: str, *, production: bool) -> None:
    parts = urlsplit(url)
    try:
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or any(c.isspace() for c in url):
        raise SettingError(f"{name}={url!r} is not an address: write it like https://api.example.com/v1.")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise SettingError(f"{name} must be a plain address: leave out user names, passwords, ? and #.")
    if production and parts.scheme != "https" and not _loopback(parts.hostname or ""):
        raise SettingError(f"{name}={url!r} would send prompts unencrypted: production needs https.")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
