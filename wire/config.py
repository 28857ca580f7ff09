"""What both planes are told by the environment: where data lies, which engines carry policy and events, the pepper.

The management plane's own settings are in `spendops/settings.py`; the gateway's in `gateway/config.py`.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from wire.env import Env, SettingError
from wire.kv.base import ReadableKV
from wire.kv.stores import Store, stores_of
from wire.queues.base import Limits, Queue, queue_name
from wire.queues.embedded import EmbeddedQueue

MOST_PEPPERS = 9
SECRET_LEAST = 32  # characters
_VARIED = 8  # different characters that 32 random ones have at the very least
_ENVIRONMENT = re.compile(r"^[a-z]{2,16}$")


@dataclass(frozen=True)
class Config:
    """Settings that the planes share. Make one with `Config.load()`."""

    data: Path
    production: bool
    environments: tuple[str, ...]
    stores: dict[str, tuple[Store, ...]]  # by environment, see `wire.kv.stores`
    peppers: dict[int, bytes] = field(repr=False)  # by version; keys hashed under any of them are valid
    limits: Limits

    @classmethod
    def load(cls, env: Env | None = None) -> Config:
        """Read the environment. Raises SettingError with a sentence that says what to do."""
        env = env or Env()
        production = env.choice("SPENDOPS_MODE", "embedded", {"embedded", "production"}) == "production"
        data = data_folder(env)
        environments = env.words("SPENDOPS_ENVIRONMENTS", "dev,prod")
        for name in environments:
            if not _ENVIRONMENT.match(name):
                raise SettingError(
                    f"SPENDOPS_ENVIRONMENTS has {name!r}: an environment's name is 2 to 16 lower-case letters."
                )
        env.choice("SPENDOPS_QUEUES", "embedded", {"embedded"})
        return cls(
            data=data,
            production=production,
            environments=environments,
            stores=stores_of(env, environments, data=data, production=production),
            peppers=_peppers(env, data, production=production),
            limits=Limits(
                batch=env.number("SPENDOPS_QUEUE_BATCH", Limits().batch, least=1, most=100_000),
                retries=env.number("SPENDOPS_QUEUE_RETRIES", Limits().retries, least=1, most=1000),
                visibility_seconds=env.number(
                    "SPENDOPS_QUEUE_VISIBILITY_SECONDS", Limits().visibility_seconds, least=1
                ),
            ),
        )

    @property
    def pepper_version(self) -> int:
        """The version that new keys are hashed under: the newest."""
        return max(self.peppers)

    @property
    def pepper(self) -> bytes:
        """The newest pepper."""
        return self.peppers[self.pepper_version]

    def open_kv(self, environment: str) -> ReadableKV:
        """Open the KV namespace that an environment's gateways read. Raises SettingError when they can read none."""
        return self.readable_store(environment).open_readable()

    def readable_store(self, environment: str) -> Store:
        """The store that an environment's gateways read. Raises SettingError when they can read none."""
        self._folder(environment)
        store = next((store for store in self.stores[environment] if store.readable), None)
        if store is None:
            named = ", ".join(store.id for store in self.stores[environment])
            raise SettingError(
                f"No gateway can read the stores of {environment} ({named}): "
                f"name a Redis or the embedded store in SPENDOPS_KV_{environment.upper()} beside them."
            )
        return store

    def open_queue(self, kind: str, environment: str) -> Queue:
        """Open one of an environment's queues (`wire.queues.base.USAGE`, `DENIALS`)."""
        path = self._folder(environment) / "queues.sqlite3"
        return EmbeddedQueue(path, queue_name(kind, environment), self.limits)

    def _folder(self, environment: str) -> Path:
        if environment not in self.environments:
            raise SettingError(
                f"There is no environment {environment!r}: choose one of {', '.join(self.environments)}."
            )
        return self.data / environment


def data_folder(env: Env) -> Path:
    """The folder that holds all local data, made when absent. Raises SettingError when it cannot be used."""
    folder = env.path("SPENDOPS_DATA", "data")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"SPENDOPS_DATA={str(folder)!r} cannot be made ({error.strerror}): name a folder that you may write to."
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise SettingError(
            f"SPENDOPS_DATA={str(folder)!r} cannot be read and written: change its owner or name another folder."
        )
    return folder


def _peppers(env: Env, data: Path, *, production: bool) -> dict[int, bytes]:
    """The first pepper, and the newer ones that were added since. The first may go once no key is hashed under it."""
    found = {}
    for version in range(2, MOST_PEPPERS + 1):
        name = f"SPENDOPS_KEY_PEPPER_V{version}"
        given = env.secret(name)
        if given and len(given) < SECRET_LEAST:
            raise SettingError(f"{name} is too short: use at least {SECRET_LEAST} random characters.")
        if given:
            found[version] = given.encode()
    retired = bool(found) and production and not env.secret("SPENDOPS_KEY_PEPPER")
    if not retired:
        found[1] = local_secret(env, "SPENDOPS_KEY_PEPPER", data, production=production).encode()
    return found


def shared_token(env: Env, name: str, *, production: bool) -> str:
    """A token that others are given, too; "" when none is set. Raises SettingError for one that a header cannot carry
    and, in production, for one that can be guessed.
    """
    given = env.secret(name)
    if not given.isascii() or not all(33 <= ord(each) <= 126 for each in given):
        raise SettingError(f"{name} cannot be used: write letters, digits and signs of ASCII, no spaces.")
    if given and production and (len(given) < SECRET_LEAST or len(set(given)) < _VARIED):
        raise SettingError(f"{name} can be guessed: production needs at least {SECRET_LEAST} random characters.")
    return given


def local_secret(env: Env, name: str, data: Path, *, production: bool) -> str:
    """A secret from the environment or, on the embedded default, from a file that is made on first use (mode 0600)."""
    given = env.secret(name)
    if given:
        if len(given) < SECRET_LEAST:
            raise SettingError(f"{name} is too short: use at least {SECRET_LEAST} random characters.")
        if production and (len(set(given)) < _VARIED or given.startswith("django-insecure-")):
            raise SettingError(f"{name} can be guessed: production needs at least {SECRET_LEAST} random characters.")
        return given
    if production:
        raise SettingError(f"{name} is not set: production needs {name}_FILE with at least 32 random characters.")
    folder = data / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / name.lower().removeprefix("spendops_")
    made = folder / f".{path.name}.{secrets.token_hex(8)}"
    if not path.exists():
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(made, path)  # of two processes that start at once, one wins and both read its file
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_text(encoding="utf-8").strip()
