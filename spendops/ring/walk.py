"""The walk of `make smoke`, step by step."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from spendops.ring import steps
from spendops.ring.processes import processes, refuse_taken_ports
from spendops.ring.start import manage_json, prepare_clickhouse, prepare_sql, start_everything
from spendops.ring.supervisor import Ring


@dataclass
class Smoke:
    """The state that steps hand on to one another, and their results."""

    data: Path
    ring: Any = None
    results: list[dict[str, Any]] = field(default_factory=list)
    tenant: str = ""
    key_id: str = ""
    key: str = ""
    budget: str = ""
    calls: dict[str, Decimal | None] = field(default_factory=dict)  # event id -> the cost the receipt named

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a step and print its line; what is said within it stands behind its name."""
        said: list[str] = []
        started = time.monotonic()
        ok = False
        try:
            yield said.append
            ok = True
        finally:
            seconds = round(time.monotonic() - started, 2)
            self.results.append({"step": name, "ok": ok, "seconds": seconds})
            print(f"{'✓' if ok else '✗'} {name:<42} {seconds:6.2f} s  {'; '.join(said)}", flush=True)


def walk(smoke: Smoke) -> None:
    """Do the main job once. Raises whatever a step raised; its result is in `smoke.results` all the same."""
    found = processes()
    with smoke.step("prepare SQL and static files"):
        refuse_taken_ports(found)
        prepare_sql()
    with Ring(found, data=smoke.data, environment={"SPENDOPS_LOG_LEVEL": "info"}) as ring:
        smoke.ring = ring
        with smoke.step("start the embedded engine, migrate ClickHouse"):
            prepare_clickhouse(ring)
        with smoke.step("sync prices") as say:
            synced = manage_json("sync_prices")
            say(f"{synced['models']:,} models of {synced['providers']} providers")
        with smoke.step("start all processes") as say:
            start_everything(ring)
            say(", ".join(ring.processes))
        with smoke.step("tenant, key and hard budget") as say:
            steps.tenant_key_budget(smoke, say)
        with smoke.step("a plain call (openai SDK)") as say:
            steps.plain_call(smoke, say)
        with smoke.step("a streamed call (openai SDK)") as say:
            steps.streamed_call(smoke, say)
        with smoke.step("a call of Anthropic's API (anthropic SDK)") as say:
            steps.anthropic_call(smoke, say)
        with smoke.step("usage rows in ClickHouse, cost exact") as say:
            steps.usage_rows(smoke, say)
        with smoke.step("the spend query shows them") as say:
            steps.spend_query(smoke, say)
        with smoke.step("the budget crosses; mail and Slack recorded") as say:
            steps.crossing(smoke, say)
        with smoke.step("the next call is refused with 402") as say:
            steps.refused_over_budget(smoke, say)
        with smoke.step("the budget is raised; the call passes again") as say:
            steps.raised(smoke, say)
        with smoke.step("kill -9 of every process during calls") as say:
            steps.kills(smoke, say)
        with smoke.step("the key is revoked and refused with 401") as say:
            steps.revoked(smoke, say)
        with smoke.step("clean stop") as say:
            ring.stop()
            say("all processes ended")
