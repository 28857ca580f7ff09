"""`make smoke`: the main job once, end to end, on free ports and in a temporary data folder, with official client SDKs.

Prints a line a step with its time and, last, one line of JSON. Exits with 1 when a step fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

MODEL = "gpt-4o-mini"
CLAUDE = "claude-haiku-4-5"
LIMIT = "0.0001"
PROMPT = "In one sentence: what does an AI gateway do?"
TOKENS = 64


class StepError(RuntimeError):
    """A step that did not come out as it must."""


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
        smoke = Smoke(Path(folder))
        ok = True
        try:
            _walk(smoke)
        except Exception as error:
            ok = False
            print(f"  {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        print(json.dumps({"ok": ok, "steps": smoke.results}))
        return 0 if ok else 1


def _walk(smoke: Smoke) -> None:
    from spendops.ring.processes import processes, refuse_taken_ports
    from spendops.ring.start import manage_json, prepare_clickhouse, prepare_sql, start_everything
    from spendops.ring.supervisor import Ring

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
            _tenant_key_budget(smoke, say)
        with smoke.step("a plain call (openai SDK)") as say:
            _plain_call(smoke, say)
        with smoke.step("a streamed call (openai SDK)") as say:
            _streamed_call(smoke, say)
        with smoke.step("a call of Anthropic's API (anthropic SDK)") as say:
            _anthropic_call(smoke, say)
        with smoke.step("usage rows in ClickHouse, cost exact") as say:
            _usage_rows(smoke, say)
        with smoke.step("the spend query shows them") as say:
            _spend_query(smoke, say)
        with smoke.step("the budget crosses; mail and Slack recorded") as say:
            _crossing(smoke, say)
        with smoke.step("the next call is refused with 402") as say:
            _refused_over_budget(smoke, say)
        with smoke.step("the budget is raised; the call passes again") as say:
            _raised(smoke, say)
        with smoke.step("kill -9 of every process during calls") as say:
            _kills(smoke, say)
        with smoke.step("the key is revoked and refused with 401") as say:
            _revoked(smoke, say)
        with smoke.step("clean stop") as say:
            ring.stop()
            say("all processes ended")


def _tenant_key_budget(smoke: Smoke, say: Callable[[str], None]) -> None:
    from spendops.ring.start import manage_json

    smoke.tenant = manage_json("create_tenant", "Smoke", "--time-zone", "Asia/Kolkata")["id"]
    issued = manage_json("issue_key", "--tenant", smoke.tenant, "--name", "smoke", "--env", "dev")
    smoke.key_id, smoke.key = issued["id"], issued["key"]
    smoke.budget = manage_json("set_budget", "--tenant", smoke.tenant, "--name", "First", "--amount", LIMIT, "--hard")[
        "id"
    ]
    _wait(lambda: _get_status("/v1/models", smoke.key) == 200, 10, "the gateway to know the key")
    say(f"{smoke.tenant}, budget ${LIMIT}")


def _openai(smoke: Smoke) -> Any:
    import openai

    return openai.OpenAI(api_key=smoke.key, base_url=f"{_gateway()}/v1", max_retries=0, timeout=30)


def _gateway() -> str:
    return f"http://127.0.0.1:{os.environ['SPENDOPS_GATEWAY_PORT_DEV']}"


def _messages() -> list[dict[str, str]]:
    return [{"role": "user", "content": PROMPT}]


def _plain_call(smoke: Smoke, say: Callable[[str], None]) -> None:
    answer = _openai(smoke).chat.completions.with_raw_response.create(
        model=MODEL, messages=_messages(), max_tokens=TOKENS
    )
    usage = answer.parse().usage
    cost = Decimal(usage.prompt_tokens * 150_000 + usage.completion_tokens * 600_000).scaleb(-12)
    _expect(
        Decimal(answer.headers["x-spendops-cost"]) == cost,
        f"receipt says {answer.headers['x-spendops-cost']}, not {cost}",
    )
    smoke.calls[answer.headers["x-spendops-event"]] = cost
    say(f"{usage.prompt_tokens} × 150,000 + {usage.completion_tokens} × 600,000 pico-USD = ${cost:f}")


def _streamed_call(smoke: Smoke, say: Callable[[str], None]) -> None:
    usage = None
    with _openai(smoke).chat.completions.with_streaming_response.create(
        model=MODEL, messages=_messages(), max_tokens=TOKENS, stream=True, stream_options={"include_usage": True}
    ) as answer:
        event = answer.headers["x-spendops-event"]
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                usage = json.loads(line[6:]).get("usage") or usage
    if usage is None:
        raise StepError("the stream brought no usage")
    cost = Decimal(usage["prompt_tokens"] * 150_000 + usage["completion_tokens"] * 600_000).scaleb(-12)
    smoke.calls[event] = cost
    say(f"${cost:f}")


def _anthropic_call(smoke: Smoke, say: Callable[[str], None]) -> None:
    import anthropic

    client = anthropic.Anthropic(api_key=smoke.key, base_url=_gateway(), max_retries=0, timeout=30)
    answer = client.messages.with_raw_response.create(
        model=CLAUDE, max_tokens=TOKENS, messages=[{"role": "user", "content": PROMPT}]
    )
    usage = answer.parse().usage
    cost = Decimal(usage.input_tokens * 1_000_000 + usage.output_tokens * 5_000_000).scaleb(-12)
    _expect(
        Decimal(answer.headers["x-spendops-cost"]) == cost,
        f"receipt says {answer.headers['x-spendops-cost']}, not {cost}",
    )
    smoke.calls[answer.headers["x-spendops-event"]] = cost
    say(f"{usage.input_tokens} × 1,000,000 + {usage.output_tokens} × 5,000,000 pico-USD = ${cost:f}")


def _usage_rows(smoke: Smoke, say: Callable[[str], None]) -> None:
    _expect_rows(smoke, smoke.calls, seconds=15)
    say(f"{len(smoke.calls)} of {len(smoke.calls)}")


def _expect_rows(smoke: Smoke, calls: dict[str, Decimal | None], *, seconds: float) -> None:
    """Every call must stand in ClickHouse with exactly its cost."""
    from spend.queries.requests import RequestRow, request_by_id

    for event, cost in calls.items():
        found: list[RequestRow] = []

        def stored(event: str = event, found: list[RequestRow] = found) -> bool:
            row = request_by_id(smoke.tenant, event)
            found.extend([row] if row else [])
            return row is not None

        _wait(stored, seconds, f"event {event} in ClickHouse")
        _expect(found[0].cost == cost, f"event {event} has cost {found[0].cost}, not {cost}")


def _spend_query(smoke: Smoke, say: Callable[[str], None]) -> None:
    total = sum((cost for cost in smoke.calls.values() if cost), Decimal(0))
    _wait(lambda: _spent(smoke) == total, 10, f"the spend query to show ${total:f}")
    say(f"${total:f}")


def _spent(smoke: Smoke) -> Decimal:
    from datetime import UTC, datetime, timedelta

    from spend.queries.daily import daily_spend

    today = datetime.now(UTC).date()
    rows = daily_spend(smoke.tenant, today - timedelta(days=1), today + timedelta(days=1), group_by="model")
    return sum((row.cost for row in rows), Decimal(0))


def _crossing(smoke: Smoke, say: Callable[[str], None]) -> None:
    from alerts.models import Delivery
    from tenants.scope import tenant_scope

    def told() -> set[str]:
        with tenant_scope(smoke.tenant):
            return set(Delivery.objects.filter(status=Delivery.Status.SENT).values_list("channel__kind", flat=True))

    _wait(lambda: {"email", "slack"} <= told(), 30, "the mail and the Slack message")
    say(" and ".join(sorted(told())))


def _refused_over_budget(smoke: Smoke, say: Callable[[str], None]) -> None:
    import openai

    def refused() -> openai.APIStatusError | None:
        try:
            _plain_call(smoke, lambda _: None)
        except openai.APIStatusError as error:
            return error
        return None

    found: list[openai.APIStatusError] = []

    def seen() -> bool:
        error = refused()
        if error is not None:
            found.append(error)
        return error is not None

    _wait(seen, 15, "the block to reach the gateway")
    error = found[0]
    _expect(error.status_code == 402, f"the gateway answered {error.status_code}")
    message = str(error.body["message"] if isinstance(error.body, dict) else error.body)
    _expect('Budget "First" used' in message, f"the refusal says {message!r}")
    say(message)


def _raised(smoke: Smoke, say: Callable[[str], None]) -> None:
    from spendops.ring.start import manage_json

    manage_json("set_budget", "--tenant", smoke.tenant, "--name", "First", "--amount", "100", "--hard")
    started = time.monotonic()
    _wait(lambda: _passes(smoke), 5, "the raised budget to reach the gateway")
    say(f"{time.monotonic() - started:.2f} s after the raise was stored")


def _passes(smoke: Smoke) -> bool:
    import openai

    try:
        _plain_call(smoke, lambda _: None)
    except openai.APIStatusError:
        return False
    return True


def _kills(smoke: Smoke, say: Callable[[str], None]) -> None:
    """Call without pause while each process is killed in turn; every call that was answered must be counted."""
    import openai

    answered: dict[str, Decimal | None] = {}
    stop = threading.Event()

    def caller() -> None:
        client = _openai(smoke)
        while not stop.is_set():
            with contextlib.suppress(openai.APIError):
                answer = client.chat.completions.with_raw_response.create(
                    model=MODEL, messages=_messages(), max_tokens=TOKENS
                )
                answered[answer.headers["x-spendops-event"]] = Decimal(answer.headers["x-spendops-cost"])
            stop.wait(0.02)

    thread = threading.Thread(target=caller)
    thread.start()
    try:
        for name in smoke.ring.processes:
            pid = smoke.ring.pid(name)
            os.kill(pid, signal.SIGKILL)
            smoke.ring.wait_restarted(name, pid)
            enough = len(answered) + 3
            _wait(partial(_at_least, answered, enough), 30, f"calls to pass after {name} was killed")
    finally:
        stop.set()
        thread.join()
    _expect_rows(smoke, answered, seconds=60)
    smoke.calls |= answered
    say(f"{len(smoke.ring.processes)} processes killed, {len(answered)} calls answered, 0 lost")


def _at_least(answered: dict[str, Decimal | None], enough: int) -> bool:
    return len(answered) >= enough


def _revoked(smoke: Smoke, say: Callable[[str], None]) -> None:
    from spendops.ring.start import manage_json

    manage_json("revoke_key", smoke.key_id)
    _wait(lambda: _get_status("/v1/models", smoke.key) == 401, 5, "the revocation to reach the gateway")
    say("refused")


def _get_status(path: str, key: str) -> int:
    import httpx

    return httpx.get(f"{_gateway()}{path}", headers={"authorization": f"Bearer {key}"}, timeout=10).status_code


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise StepError(otherwise)


def _wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    from spendops.ring.supervisor import wait_until

    wait_until(condition, seconds, f"Waited {seconds:.0f} s in vain for {what}", every=0.1)


if __name__ == "__main__":
    sys.exit(main())
