"""100,000 keys into Redis: the first time, and everything anew; how long, and how much memory the publisher takes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench._measures import baseline, line, until
from bench.parts._installation import installation, say

KEYS = 100_000


def main() -> None:
    with installation(redis=True):
        from django.conf import settings

        from bench.parts._keys import BY, add_keys
        from publishing.models import KvEntry, Republish
        from spendops.ring.start import manage
        from tenants.actions.tenants import create_tenant
        from tenants.models import Project
        from tenants.scope import tenant_scope

        tenant = create_tenant(name="Bench", by=BY)
        with tenant_scope(tenant.id):
            project = Project.objects.get()
        add_keys(tenant, project, KEYS, env="dev", publish=True)
        raw = _raw_seconds(settings.SPENDOPS.stores["dev"][0].address)
        from django.db.models import F

        def published() -> bool:
            behind = KvEntry.objects.filter(env="dev", published_rev__lt=F("rev"))
            return KvEntry.objects.filter(env="dev").count() > KEYS and not behind.exists()

        with _publisher() as memory:
            first = until(published, 300, every=0.1)
            manage("republish", "--env", "dev")
            began = time.perf_counter()
            until(lambda: not Republish.objects.filter(status=Republish.Status.RUNNING).exists(), 300, every=0.1)
            until(published, 300, every=0.1)
            again = time.perf_counter() - began
            peak = memory()
        compared = baseline("the same documents written by a bare Redis pipeline", raw)
        say(line("publish_100k_s", first, "s", compared, store="redis"))
        say(line("republish_100k_s", again, "s", compared, store="redis"))
        with _publisher() as memory:
            time.sleep(2)
            idle = memory()
        say(line("republish_100k_peak_mb", peak, "MB", baseline("a publisher with nothing to do", idle), store="redis"))


def _raw_seconds(address: str) -> float:
    """What writing so many documents of this size takes by itself."""
    import redis

    client = redis.Redis.from_url(address)
    body = b"x" * 420
    began = time.perf_counter()
    for start in range(0, KEYS, 1000):
        pipeline = client.pipeline(transaction=False)
        for number in range(start, start + 1000):
            pipeline.hset(f"bench:{number}", mapping={"rev": 1, "digest": "0" * 64, "body": body})
        pipeline.execute()
    took = time.perf_counter() - began
    for start in range(0, KEYS, 1000):
        client.delete(*(f"bench:{number}" for number in range(start, start + 1000)))
    client.close()
    return took


@contextmanager
def _publisher() -> Iterator:
    """A publisher's process; yields how many MB of memory it took at most."""
    from spendops.ring.processes import MANAGE

    process = subprocess.Popen([sys.executable, MANAGE, "publish"], stdout=subprocess.DEVNULL)
    try:
        yield lambda: _peak_mb(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(row for row in status.splitlines() if row.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    main()
