"""A real Workers KV for tests: Cloudflare's own runtime (workerd), behind the REST paths that Cloudflare serves."""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from wire.kv.cloudflare import CloudflareKV

HERE = Path(__file__).resolve().parent
WORKER = HERE.parents[1] / "deploy" / "cloudflare-worker" / "worker.js"
PACKAGES = Path(sys.prefix) / "cloudflare"  # `make tools` installs what package-lock.json names there

COMPATIBILITY_DATE = "2026-04-01"
PEPPERS = {  # of the reference Worker; those of tests/contract
    "SPENDOPS_KEY_PEPPER": "the first pepper of the contract's installation",
    "SPENDOPS_KEY_PEPPER_V2": "the second pepper of the contract's installation",
}
START_SECONDS = 60


@dataclass(frozen=True)
class Peer:
    """One account with a namespace for each environment. Its tokens are made anew for each run."""

    url: str
    account: str
    namespaces: dict[str, str]  # by environment
    token: str = field(repr=False)
    reading_token: str = field(repr=False)

    @property
    def api(self) -> str:
        """The base of the REST paths."""
        return f"{self.url}/client/v4"

    @property
    def settings(self) -> dict[str, str]:
        """What SpendOps is told to reach it."""
        return {"SPENDOPS_CLOUDFLARE_API_URL": self.api, "SPENDOPS_CLOUDFLARE_API_TOKEN": self.token}

    def store(self, env: str) -> str:
        """An environment's namespace, as SPENDOPS_KV names it."""
        return f"cloudflare://{self.account}/{self.namespaces[env]}"

    def address(self, env: str, *, through: str = "") -> str:
        """An environment's namespace, as CloudflareKV takes it; through a proxy's URL when one is given."""
        base = f"{through}/client/v4" if through else self.api
        return f"{base}/accounts/{self.account}/storage/kv/namespaces/{self.namespaces[env]}"

    def open(self, env: str) -> CloudflareKV:
        """An environment's namespace."""
        return CloudflareKV(self.address(env), token=self.token)

    def calls(self, kind: str = "") -> int:
        """How many calls came in so far whose path goes on with this (`bulk`, `bulk/delete`, `keys` …)."""
        found = httpx.get(f"{self.url}/peer/calls", timeout=10).json()
        return sum(count for name, count in found.items() if name.startswith(kind))

    def empty(self) -> None:
        """Delete everything in all namespaces."""
        httpx.post(f"{self.url}/peer/empty", timeout=60).raise_for_status()

    def edge(self, env: str, path: str = "/decide") -> str:
        """Where the reference Worker of an environment answers."""
        return f"{self.url}/peer/edge/{env}{path}"


@contextmanager
def cloudflare_peer() -> Iterator[Peer]:
    """Serve an empty account on a free port. Raises RuntimeError when it does not come up."""
    if not (PACKAGES / "node_modules" / "miniflare").is_dir():
        raise RuntimeError("Cloudflare's runtime is not installed for the tests: run make tools.")
    account, namespaces = secrets.token_hex(16), {env: secrets.token_hex(16) for env in ("dev", "prod")}
    token, reading = secrets.token_urlsafe(30), secrets.token_urlsafe(30)
    told = {
        "packages": str(PACKAGES),
        "worker": str(WORKER),
        "account": account,
        "namespaces": namespaces,
        "tokens": {"full": token, "reading": reading},
        "peppers": PEPPERS,
        "date": COMPATIBILITY_DATE,
    }
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory(dir=_storage()) as storage:
        process = subprocess.Popen(
            ["node", str(HERE / "peer.mjs"), json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | {"TMPDIR": storage},
            text=True,
        )
        try:
            ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
            url = process.stdout.readline().strip().rstrip("/") if ready and process.stdout else ""
            if not url.startswith("http"):
                log.seek(0)
                raise RuntimeError(f"Cloudflare's runtime did not come up:\n{log.read()[-4000:]}")
            yield Peer(url, account, namespaces, token, reading)
        finally:
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _storage() -> str | None:
    """Where the runtime keeps what is written: a file each, in memory where there is enough of it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= 2**30
    return str(memory) if roomy else None
