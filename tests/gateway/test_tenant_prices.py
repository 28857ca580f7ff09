"""What a tenant is charged: overrides that were published to KV, as a gateway process applies them."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import msgspec

from gateway.tenantprices import LARGE, LIST_PRICES, UNKNOWN, TenantPrices
from tests.gateway.peers import GatewayUnderTest, IssuedKey, wait_for
from tests.gateway.test_metering import completion
from wire.documents import SCHEMA, decode_missing, missing_document, tenant_pricing_document
from wire.events import UsageEvent
from wire.kv.base import Write
from wire.overrides import OverrideKind, OverrideRule, TenantPricing

USAGE = {"prompt_tokens": 21, "completion_tokens": 64, "total_tokens": 85}
COST = "0.000041550000"  # 21 × 150,000 + 64 × 600,000
TENTH_OFF = "0.000037395000"


def rule(kind: str = "percent", **fields: Any) -> OverrideRule:
    return OverrideRule(**({"id": "o_1", "kind": OverrideKind(kind)} | fields))


def document(tenant: str, version: int, *rules: OverrideRule, schema: int = SCHEMA) -> bytes:
    found = TenantPricing(schema=schema, rev=version, env="dev", tenant=tenant, version=version, rules=rules)
    return msgspec.json.encode(found)


def put(gateway: GatewayUnderTest, tenant: str, version: int, *rules: OverrideRule) -> None:
    gateway.write(Write(tenant_pricing_document(tenant), gateway.rev(), document(tenant, version, *rules)))


def call(key: IssuedKey, **fields: Any) -> tuple[httpx.Response, UsageEvent]:
    """A call and its event."""
    gateway = key.gateway
    before = len(gateway.usage(key))
    answer = key.chat(**fields)
    wait_for(lambda: len(gateway.usage(key)) > before, "a usage event")
    return answer, gateway.usage(key)[-1]


def until(key: IssuedKey, version: int) -> UsageEvent:
    """Call until a version of the overrides is known."""
    found: list[UsageEvent] = []

    def known() -> bool:
        found.append(call(key)[1])
        return found[-1].override_version == version

    wait_for(known, f"version {version} of the overrides")
    return found[-1]


def test_a_tenant_is_charged_by_its_override_and_the_cost_stays(replayed, provider):
    put(replayed, "t_charged1", 7, rule(basis_points=-1000))
    provider.answers(completion(USAGE))
    answer, event = call(replayed.issue(tenant="t_charged1"))
    assert (event.cost, event.charge, event.override_version) == (COST, TENTH_OFF, 7)
    assert (answer.headers["x-spendops-cost"], answer.headers["x-spendops-charge"]) == (COST, TENTH_OFF)
    other, alike = call(replayed.issue())
    assert (alike.cost, alike.charge, alike.override_version) == (COST, COST, 0)
    assert "x-spendops-charge" not in other.headers


def test_the_first_rule_that_fits_decides_by_project_model_and_time(replayed, provider):
    now = time.time_ns() // 1_000_000
    put(
        replayed,
        "t_charged2",
        1,
        rule("free", project="p_own"),
        rule("free", model="gpt-5*"),
        rule("free", end=now - 1),
        rule("free", start=now + 3_600_000),
        rule("absolute", id="o_2", provider="open*", model="gpt-4o*", prices={"output": 1}),
    )
    provider.answers(completion(USAGE))
    _, own = call(replayed.issue(tenant="t_charged2", project="p_own"))
    _, every = call(replayed.issue(tenant="t_charged2"))
    assert (own.cost, own.charge) == (COST, "0.000000000000")
    assert (every.cost, every.charge) == (COST, f"0.{21 * 150_000 + 64:012d}")


def test_a_model_without_a_list_price_is_charged_and_still_flagged(replayed, provider):
    put(replayed, "t_charged3", 1, rule("absolute", model="in-house*", prices={"input": 10, "output": 20}))
    provider.answers(completion(USAGE))
    key = replayed.issue(tenant="t_charged3")
    answer, event = call(key, model="openai/in-house-7b")
    assert (event.cost, event.charge, event.model_priced) == (None, f"0.{21 * 10 + 64 * 20:012d}", "")
    assert "x-spendops-cost" not in answer.headers
    assert answer.headers["x-spendops-charge"] == event.charge
    name = missing_document("openai", "in-house-7b")
    flag = decode_missing(wait_for(lambda: replayed.kv.get(name), "a flag of the missing price"))
    assert (flag.tenant, flag.event_id) == ("t_charged3", event.event_id)


def test_an_error_of_the_provider_is_charged_nothing(replayed, provider):
    put(replayed, "t_charged4", 1, rule("absolute", prices={"input": 10, "requests": 5}))
    provider.answers({"error": {"message": "no"}}, status=500)
    _, event = call(replayed.issue(tenant="t_charged4"))
    assert (event.cost, event.charge) == ("0.000000000000", "0.000000000000")


def test_a_call_keeps_the_version_that_it_began_with(replayed, provider):
    put(replayed, "t_charged5", 1, rule(basis_points=-1000))
    key = replayed.issue(tenant="t_charged5")
    gate = threading.Event()
    provider.answers(completion(USAGE), gate=gate)
    held = threading.Thread(target=key.chat)
    held.start()
    wait_for(lambda: provider.seen, "the call at the provider")
    put(replayed, "t_charged5", 2, rule(basis_points=5000))
    provider.answers(completion(USAGE))
    other = replayed.issue(tenant="t_charged5")
    until(other, 2)
    gate.set()
    held.join(20)
    event = replayed.one_event(key)
    assert (event.override_version, event.charge) == (1, TENTH_OFF)
    assert replayed.usage(other)[-1].charge == "0.000062325000"


def test_without_the_document_the_list_price_holds_again(replayed, provider):
    put(replayed, "t_charged6", 1, rule("free"))
    provider.answers(completion(USAGE))
    key = replayed.issue(tenant="t_charged6")
    assert call(key)[1].charge == "0.000000000000"
    replayed.write(Write(tenant_pricing_document("t_charged6"), replayed.rev(), None))
    assert until(key, 0).charge == COST


def test_a_stream_is_charged_alike(replayed, provider):
    put(replayed, "t_charged7", 1, rule(basis_points=-1000))
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    provider.streams(
        {**chunk, "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]},
        {**chunk, "choices": [], "usage": USAGE},
    )
    _, event = call(replayed.issue(tenant="t_charged7"), stream=True)
    assert (event.cost, event.charge, event.override_version) == (COST, TENTH_OFF, 1)


# -- documents that cannot be read -------------------------------------------------------------------------------------


def take(prices: TenantPrices, body: bytes | None) -> None:
    prices.prepare([(tenant_pricing_document("t"), body)])()


def test_a_document_that_cannot_be_read_leaves_the_last_good_one():
    prices = TenantPrices()
    assert prices.of("t") is LIST_PRICES
    take(prices, document("t", 3, rule("free")))
    assert prices.of("t").version == 3
    for broken in (b"{", b"\xff", b'{"schema":1}', document("t", 4, schema=2), b"[" * (LARGE + 1)):
        take(prices, broken)
        assert (prices.of("t").version, prices.of("t").known) == (3, True)
    take(prices, document("t", 5, rule("free")))
    assert prices.of("t").version == 5
    take(prices, None)
    assert prices.of("t") is LIST_PRICES
    assert len(prices) == 0


def test_a_document_of_thousands_of_rules_finds_the_one():
    prices = TenantPrices()
    many = [rule(id=f"o_{number}", model=f"model-{number}-*") for number in range(2_000)]
    body = document("t", 1, *many)
    assert len(body) > LARGE
    take(prices, body)
    assert prices.of("t").overrides.rule_for(provider="p", model="model-1999-x", project="", at_ms=0).id == "o_1999"


def test_overrides_that_were_never_readable_make_the_charge_unknown(replayed, provider):
    """Not the list price, which could be wrong; the call passes, and its cost is known."""
    name = tenant_pricing_document("t_charged8")
    replayed.write(Write(name, replayed.rev(), document("t_charged8", 1, rule("free"), schema=2)))
    provider.answers(completion(USAGE))
    answer, event = call(replayed.issue(tenant="t_charged8"))
    assert answer.status_code == 200
    assert (event.cost, event.charge, event.override_version) == (COST, None, 0)
    assert wait_for(lambda: any("overrides cannot be read" in line for line in replayed.program.said), "a line")
    prices = TenantPrices()
    take(prices, b"{")
    assert prices.of("t") is UNKNOWN
