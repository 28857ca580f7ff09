"""The steps of `make smoke`: what is done in each, and what must be true then. Imported once Django is set up."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai

from alerts.models import Delivery
from spend.queries.daily import daily_spend
from spend.queries.requests import RequestRow, request_by_id
from spendops.ring.start import manage_json
from spendops.ring.supervisor import wait_until
from tenants.scope import tenant_scope

if TYPE_CHECKING:
    from spendops.ring.walk import Smoke

MODEL = "gpt-4o-mini"
CLAUDE = "claude-haiku-4-5"
LIMIT = "0.0001"
PROMPT = "In one sentence: what does an AI gateway do?"
TOKENS = 64

Say = Callable[[str], None]


class StepError(RuntimeError):
    """A step that did not come out as it must."""


def tenant_key_budget(smoke: Smoke, say: Say) -> None:
    smoke.tenant = manage_json("create_tenant", "Smoke", "--time-zone", "Asia/Kolkata")["id"]
    issued = manage_json("issue_key", "--tenant", smoke.tenant, "--name", "smoke", "--env", "dev")
    smoke.key_id, smoke.key = issued["id"], issued["key"]
    smoke.budget = manage_json("set_budget", "--tenant", smoke.tenant, "--name", "First", "--amount", LIMIT, "--hard")[
        "id"
    ]
    _wait(lambda: _get_status("/v1/models", smoke.key) == 200, 10, "the gateway to know the key")
    say(f"{smoke.tenant}, budget ${LIMIT}")


def _openai(smoke: Smoke) -> Any:
    return openai.OpenAI(api_key=smoke.key, base_url=f"{_gateway()}/v1", max_retries=0, timeout=30)


def _gateway() -> str:
    return f"http://127.0.0.1:{os.environ['SPENDOPS_GATEWAY_PORT_DEV']}"


def _messages() -> list[dict[str, str]]:
    return [{"role": "user", "content": PROMPT}]


def plain_call(smoke: Smoke, say: Say) -> None:
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


def streamed_call(smoke: Smoke, say: Say) -> None:
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


def anthropic_call(smoke: Smoke, say: Say) -> None:
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


def usage_rows(smoke: Smoke, say: Say) -> None:
    _expect_rows(smoke, smoke.calls, seconds=15)
    say(f"{len(smoke.calls)} of {len(smoke.calls)}")


def _expect_rows(smoke: Smoke, calls: dict[str, Decimal | None], *, seconds: float) -> None:
    """Every call must stand in ClickHouse with exactly its cost."""
    for event, cost in calls.items():
        found: list[RequestRow] = []

        def stored(event: str = event, found: list[RequestRow] = found) -> bool:
            row = request_by_id(smoke.tenant, event)
            found.extend([row] if row else [])
            return row is not None

        _wait(stored, seconds, f"event {event} in ClickHouse")
        _expect(found[0].cost == cost, f"event {event} has cost {found[0].cost}, not {cost}")


def spend_query(smoke: Smoke, say: Say) -> None:
    total = sum((cost for cost in smoke.calls.values() if cost), Decimal(0))
    _wait(lambda: _spent(smoke) == total, 10, f"the spend query to show ${total:f}")
    say(f"${total:f}")


def _spent(smoke: Smoke) -> Decimal:
    today = datetime.now(UTC).date()
    rows = daily_spend(smoke.tenant, today - timedelta(days=1), today + timedelta(days=1), group_by="model")
    return sum((row.cost for row in rows), Decimal(0))


def crossing(smoke: Smoke, say: Say) -> None:
    def told() -> set[str]:
        with tenant_scope(smoke.tenant):
            return set(Delivery.objects.filter(status=Delivery.Status.SENT).values_list("channel__kind", flat=True))

    _wait(lambda: {"email", "slack"} <= told(), 30, "the mail and the Slack message")
    say(" and ".join(sorted(told())))


def refused_over_budget(smoke: Smoke, say: Say) -> None:
    def refused() -> openai.APIStatusError | None:
        try:
            plain_call(smoke, lambda _: None)
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


def raised(smoke: Smoke, say: Say) -> None:
    manage_json("set_budget", "--tenant", smoke.tenant, "--name", "First", "--amount", "100", "--hard")
    started = time.monotonic()
    _wait(lambda: _passes(smoke), 5, "the raised budget to reach the gateway")
    say(f"{time.monotonic() - started:.2f} s after the raise was stored")


def _passes(smoke: Smoke) -> bool:
    try:
        plain_call(smoke, lambda _: None)
    except openai.APIStatusError:
        return False
    return True


def kills(smoke: Smoke, say: Say) -> None:
    """Call without pause while each process is killed in turn; every call that was answered must be counted."""
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


def revoked(smoke: Smoke, say: Say) -> None:
    manage_json("revoke_key", smoke.key_id)
    _wait(lambda: _get_status("/v1/models", smoke.key) == 401, 5, "the revocation to reach the gateway")
    say("refused")


def _get_status(path: str, key: str) -> int:
    return httpx.get(f"{_gateway()}{path}", headers={"authorization": f"Bearer {key}"}, timeout=10).status_code


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise StepError(otherwise)


def _wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    wait_until(condition, seconds, f"Waited {seconds:.0f} s in vain for {what}", every=0.1)
