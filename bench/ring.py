"""The ring with all its processes: what the gateway adds, how soon a call is counted, how soon a revocation holds."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench._measures import baseline, line, quantile, until

CALLS = 300
CONCURRENT, SECONDS = 16, 5.0
SEEN = 25
REVOKED = 25
BODY = {"model": "gpt-4o-mini", "max_tokens": 64, "messages": [{"role": "user", "content": "What does a gateway do?"}]}


def run() -> Iterator[dict[str, Any]]:
    """Yield the measurements. Starts a ring of its own on free ports in a temporary folder."""
    from spendops.ring.smoke import environment

    with tempfile.TemporaryDirectory(prefix="spendops-bench-") as folder:
        for name in [name for name in os.environ if name.startswith("SPENDOPS_")]:
            del os.environ[name]
        os.environ.update(environment(Path(folder)))
        import django

        django.setup()
        from spendops.ring.processes import processes
        from spendops.ring.start import manage_json, prepare_clickhouse, prepare_sql, start_everything
        from spendops.ring.supervisor import Ring

        prepare_sql()
        with Ring(processes(), data=Path(folder), environment={"SPENDOPS_LOG_LEVEL": "warning"}) as ring:
            prepare_clickhouse(ring)
            manage_json("sync_prices")
            start_everything(ring)
            tenant = manage_json("create_tenant", "Bench")["id"]
            issued = manage_json("issue_key", "--tenant", tenant, "--name", "bench", "--env", "dev")
            yield from _measure(tenant, issued["key"])


def _measure(tenant: str, key: str) -> Iterator[dict[str, Any]]:
    gateway = f"http://127.0.0.1:{os.environ['SPENDOPS_GATEWAY_PORT_DEV']}/v1/chat/completions"
    sandbox = f"http://127.0.0.1:{os.environ['SPENDOPS_SANDBOX_PORT']}/v1/chat/completions"
    through = asyncio.run(_one_by_one(gateway, key))
    direct = asyncio.run(_one_by_one(sandbox, key))
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        added = quantile(through, share) - quantile(direct, share)
        compared = baseline("the same calls sent straight to the sandbox", quantile(direct, share) * 1000)
        yield line(f"plain_added_{name}_ms_c1", added * 1000, "ms", compared)
    rate, plain = asyncio.run(_at_once(gateway, key)), asyncio.run(_at_once(sandbox, key))
    yield line("plain_rps_c16", rate, "1/s", baseline("straight to the sandbox", plain))
    yield from _seen(tenant, gateway, key)
    yield from _revocations(tenant, gateway)


async def _one_by_one(url: str, key: str) -> list[float]:
    import aiohttp

    times = []
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as session:
        for number in range(CALLS + 20):
            started = time.perf_counter()
            async with session.post(url, json=BODY) as answer:
                await answer.read()
                answer.raise_for_status()
            if number >= 20:
                times.append(time.perf_counter() - started)
    return times


async def _at_once(url: str, key: str) -> float:
    import aiohttp

    done = 0
    until = time.perf_counter() + SECONDS

    async def caller(session: aiohttp.ClientSession) -> None:
        nonlocal done
        while time.perf_counter() < until:
            async with session.post(url, json=BODY) as answer:
                await answer.read()
                answer.raise_for_status()
            done += 1

    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as session:
        await asyncio.gather(*(caller(session) for _ in range(CONCURRENT)))
    return done / SECONDS


def _seen(tenant: str, gateway: str, key: str) -> Iterator[dict[str, Any]]:
    """From the last byte of the answer to the row that the spend page reads."""
    import httpx

    from spend.queries.requests import request_by_id

    times, calls = [], []
    for _ in range(SEEN):
        started = time.perf_counter()
        answer = httpx.post(gateway, json=BODY, headers={"authorization": f"Bearer {key}"}, timeout=30)
        calls.append(time.perf_counter() - started)
        event = answer.headers["x-spendops-event"]
        times.append(until(lambda event=event: request_by_id(tenant, event) is not None))
    compared = baseline("the call itself, p50", quantile(calls, 0.5))
    yield line("call_to_clickhouse_p50_s", quantile(times, 0.5), "s", compared)
    yield line("call_to_clickhouse_max_s", max(times), "s", compared)


def _revocations(tenant: str, gateway: str) -> Iterator[dict[str, Any]]:
    """From the commit of a revocation to the gateway's refusal, by which every call after it is refused."""
    import httpx

    from changes.actor import Actor
    from tenants.actions.keys import issue_key, revoke_key
    from tenants.models import Project, Tenant
    from tenants.scope import tenant_scope

    by = Actor.system("bench")
    url = gateway.replace("/chat/completions", "/models")
    times, known = [], []
    with tenant_scope(tenant), httpx.Client(timeout=10) as client:

        def status(text: str) -> int:
            return client.get(url, headers={"authorization": f"Bearer {text}"}).status_code

        for number in range(REVOKED):
            owner = Tenant.objects.get(id=tenant)
            project = Project.objects.first()
            issued = issue_key(tenant=owner, project=project, name=f"bench {number}", env="dev", by=by)
            known.append(until(lambda issued=issued: status(issued.text) == 200))
            revoke_key(key=issued.key, by=by)
            times.append(until(lambda issued=issued: status(issued.text) == 401))
    compared = baseline("a new key until it is known, p50", quantile(known, 0.5))
    yield line("revocation_p50_s", quantile(times, 0.5), "s", compared)
    yield line("revocation_max_s", max(times), "s", compared)
