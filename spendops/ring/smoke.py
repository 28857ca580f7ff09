"""`make smoke`: the main job once, end to end, on free ports and in a temporary data folder, with official client SDKs.

Prints a line a step with its time and, last, one line of JSON. Exits with 1 when a step fails.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from pathlib import Path


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def environment(data: Path) -> dict[str, str]:
    """The settings of a ring on free ports."""
    web, clickhouse, sandbox, dev, prod = free_ports(5)
    return {
        "SPENDOPS_DATA": str(data),
        "SPENDOPS_WEB_PORT": str(web),
        "SPENDOPS_CLICKHOUSE_PORT": str(clickhouse),
        "SPENDOPS_SANDBOX_PORT": str(sandbox),
        "SPENDOPS_GATEWAY_PORT_DEV": str(dev),
        "SPENDOPS_GATEWAY_PORT_PROD": str(prod),
        "SPENDOPS_LOG_LEVEL": "error",  # of this process and the commands; the ring's own logs say more
        "DJANGO_SETTINGS_MODULE": "spendops.settings",
    }


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="spendops-smoke-") as folder:
        for name in [name for name in os.environ if name.startswith("SPENDOPS_")]:
            del os.environ[name]
        os.environ.update(environment(Path(folder)))

        import django

        django.setup()
        from spendops.ring.walk import Smoke, walk

        smoke = Smoke(Path(folder))
        ok = True
        try:
            walk(smoke)
        except Exception as error:
            ok = False
            print(f"  {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        print(json.dumps({"ok": ok, "steps": smoke.results}))
        return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
