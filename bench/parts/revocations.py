"""From the commit of a revocation to the gateway's refusal, while other calls go on. Argument: embedded or redis."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx

from bench._measures import baseline, line, quantile, until
from bench.parts._installation import installation, say

REVOKED, AT_ONCE = 1000, 4
CALLERS, PAUSE = 8, 0.05  # seconds between a caller's calls: about a hundred calls a second
BODY = {"model": "gpt-4o-mini", "max_tokens": 16, "messages": [{"role": "user", "content": "Hello"}]}


def main(store: str) -> None:
    with installation(redis=store == "redis") as folder:
        from spendops.ring.processes import processes
        from spendops.ring.start import manage_json, prepare_clickhouse, start_everything
        from spendops.ring.supervisor import Ring

        with Ring(processes(), data=folder / "data", environment={"SPENDOPS_LOG_LEVEL": "warning"}) as ring:
            prepare_clickhouse(ring)
            manage_json("sync_prices")
            start_everything(ring)
            tenant = manage_json("create_tenant", "Bench")["id"]
            key = manage_json("issue_key", "--tenant", tenant, "--name", "load", "--env", "dev")["key"]
            gateway = f"http://127.0.0.1:{os.environ['SPENDOPS_GATEWAY_PORT_DEV']}/v1"
            for measured in _revocations(tenant, gateway, key):
                say(measured | {"store": store})


def _revocations(tenant: str, gateway: str, load_key: str) -> Iterator[dict[str, Any]]:
    with _load(gateway, load_key) as calls, ThreadPoolExecutor(AT_ONCE) as pool:
        shares = list(
            pool.map(lambda share: _one_after_another(tenant, gateway, share), [REVOKED // AT_ONCE] * AT_ONCE)
        )
    known = [each for one, _ in shares for each in one]
    refused = [each for _, one in shares for each in one]
    compared = baseline("from the commit of a new key until the gateway takes it, p50", quantile(known, 0.5))
    yield line("revocation_p50_s", quantile(refused, 0.5), "s", compared, revocations=len(refused), calls=calls())
    compared = baseline("from the commit of a new key until the gateway takes it, p99", quantile(known, 0.99))
    yield line("revocation_p99_s", quantile(refused, 0.99), "s", compared, max=round(max(refused), 4))


def _one_after_another(tenant: str, gateway: str, count: int) -> tuple[list[float], list[float]]:
    from django.db import connection

    from bench.parts._keys import BY
    from tenants.actions.keys import issue_key, revoke_key
    from tenants.models import Project, Tenant
    from tenants.scope import tenant_scope

    known, refused = [], []
    with tenant_scope(tenant), httpx.Client(timeout=10) as client:

        def answers(text: str, status: int) -> bool:
            headers = {"authorization": f"Bearer {text}"}
            return client.get(f"{gateway}/models", headers=headers).status_code == status

        owner, project = Tenant.objects.get(id=tenant), Project.objects.filter(tenant=tenant).first()
        for number in range(count):
            issued = issue_key(tenant=owner, project=project, name=f"bench {number}", env="dev", by=BY)
            known.append(until(partial(answers, issued.text, 200)))
            revoke_key(key=issued.key, by=BY)
            refused.append(until(partial(answers, issued.text, 401)))
    connection.close()
    return known, refused


@contextmanager
def _load(gateway: str, key: str) -> Iterator[Any]:
    """Calls that go on all the while; yields how many were answered so far."""
    stop, answered = threading.Event(), [0] * CALLERS

    def caller(number: int) -> None:
        with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=30) as client:
            while not stop.wait(PAUSE):
                client.post(f"{gateway}/chat/completions", json=BODY).raise_for_status()
                answered[number] += 1

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: sum(answered)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
