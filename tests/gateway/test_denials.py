"""Refusals: the status, the shape, the reason code, and the denial event with the documents that decided."""

from __future__ import annotations

import socket
import time

import httpx
import msgspec
import pytest

from tests.gateway.peers import GatewayUnderTest, wait_for
from wire.documents import Block, KeyPricing, KeyStatus, tenant_document
from wire.events import Denied
from wire.keys import key_hash, new_key
from wire.kv.base import Write

HOUR = 3_600_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


POLICIES = {
    Denied.KEY_REVOKED: ({"status": KeyStatus.REVOKED}, 401),
    Denied.KEY_DISABLED: ({"status": KeyStatus.DISABLED}, 401),
    Denied.KEY_EXPIRED: ({"expires": now_ms() - 1}, 401),
    Denied.KEY_NOT_YET_VALID: ({"not_before": now_ms() + HOUR}, 401),
    Denied.KEY_WRONG_ENVIRONMENT: ({"env": "prod"}, 401),
    Denied.MODEL_NOT_ALLOWED: ({"allowed_models": ("gpt-5*", "claude-*")}, 403),
    Denied.PROVIDER_NOT_ALLOWED: ({"denied_providers": ("open*",)}, 403),
    Denied.BUDGET_EXHAUSTED: ({"block": Block(reason="budget_exhausted", message="Budget used.")}, 402),
    Denied.POLICY_UNAVAILABLE: ({"pricing": KeyPricing(min_version=1_000_000)}, 503),
}


@pytest.mark.parametrize("reason", POLICIES)
def test_a_policy_that_refuses(gateway, reason):
    policy, status = POLICIES[reason]
    key = gateway.issue(**policy)
    answer = key.chat(headers={"x-request-id": "r-1"})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == answer.headers["x-spendops-reason"] == reason
    denial = gateway.one_denial(key)
    assert (denial.reason, denial.http_status, denial.route) == (reason, status, "/v1/chat/completions")
    assert (denial.tenant, denial.project, denial.env) == (key.tenant, "p_test", "dev")
    assert denial.event_id == answer.headers["x-spendops-event"]
    assert denial.request_id == answer.headers["x-request-id"] == "r-1"
    assert denial.revs == {key.document: gateway._rev}
    if status != 401:
        assert denial.model_asked == "gpt-4o-mini"
    assert gateway.usage(key) == []


def test_no_key_and_keys_that_nobody_issued(gateway):
    def ask(**headers: str) -> tuple[int, str, str]:
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", headers=headers, json={"model": "m"})
        return answer.status_code, answer.json()["error"]["code"], answer.headers["x-spendops-event"]

    unknown, elsewhere = new_key("dev"), new_key("prod")
    asked = {
        Denied.KEY_MISSING: ask(),
        Denied.KEY_MALFORMED: ask(**{"x-api-key": unknown.text[:-1] + "?"}),
        Denied.KEY_UNKNOWN: ask(authorization=f"Bearer {unknown.text}"),
        Denied.KEY_WRONG_ENVIRONMENT: ask(authorization=f"bearer {elsewhere.text}"),
    }
    assert {reason: got[:2] for reason, got in asked.items()} == {reason: (401, reason) for reason in asked}
    events = {denial.event_id: denial for denial in gateway.denials()}
    kept = {reason: events[got[2]] for reason, got in asked.items()}
    assert [kept[reason].reason for reason in asked] == list(asked)
    assert kept[Denied.KEY_UNKNOWN].key == unknown.public_id
    assert kept[Denied.KEY_UNKNOWN].tenant == ""
    written = b"".join(msgspec.json.encode(denial) for denial in events.values())
    assert unknown.text.encode() not in written
    assert unknown.text[20:].encode() not in written


def test_a_key_taken_over_from_elsewhere_has_any_form(gateway):
    key = gateway.issue()
    key.text = "sk-an-older-systems-key"
    key.publish()
    assert key.chat().status_code == 200
    assert gateway.one_event(key).tenant == key.tenant


@pytest.mark.parametrize("shape", ["openai", "anthropic"])
def test_a_path_that_is_not_listed_is_never_forwarded(gateway, key, shape):
    headers = {"authorization": f"Bearer {key.text}"} | ({"anthropic-version": "1"} if shape == "anthropic" else {})
    answer = httpx.post(f"{gateway.url}/v1/images/generations", headers=headers, json={"model": "m"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["type"] == "not_found_error") if shape == "anthropic" else (error["code"] == "route_unknown")
    assert gateway.one_denial(key).reason is Denied.ROUTE_UNKNOWN
    before = len(gateway.denials())
    assert httpx.get(f"{gateway.url}/wp-login.php").status_code == 404  # a stranger's is not worth an event
    assert len(gateway.denials()) == before


def test_a_wrong_method(gateway):
    answer = httpx.get(f"{gateway.url}/v1/chat/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[]", "JSON object"),
        (b"{}", "name a model"),
        (b'{"model": 5}', "name a model"),
        (b'{"model": "' + b"m" * 300 + b'"}', "256"),
        (b'{"model": "a\\u0000b"}', "printable"),
        (b'{"model": "gpt-4o-mini", "stream": true, "stream_options": 3}', "stream_options"),
    ],
)
def test_a_body_that_cannot_be_used(gateway, key, body, says):
    answer = key.post("/v1/chat/completions", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "body_invalid")
    assert says in answer.json()["error"]["message"]
    assert gateway.one_denial(key).reason is Denied.BODY_INVALID


def test_what_could_not_be_metered_is_refused(key):
    answer = key.post("/v1/responses", {"model": "gpt-5", "input": "x", "background": True})
    assert answer.status_code == 400
    assert "background" in answer.json()["error"]["message"]
    packed = key.post("/v1/chat/completions", b"\x1f\x8b", {"content-encoding": "gzip"})
    assert "compressed" in packed.json()["error"]["message"]


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large(make_gateway, announced):
    gateway = make_gateway(SPENDOPS_GATEWAY_BODY_MIB="1").start()
    key = gateway.issue()
    body = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"' + b"x" * 2**20 + b'"}]}'
    headers = {"authorization": f"Bearer {key.text}"}
    parts = [body[at : at + 65536] for at in range(0, len(body), 65536)]
    try:
        answer = httpx.post(
            f"{gateway.url}/v1/chat/completions", headers=headers, content=body if announced else iter(parts)
        )
    except httpx.TransportError:  # it may hang up on one who goes on sending
        assert not announced
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    wait_for(lambda: gateway.denials(key), "the denial")
    assert gateway.one_denial(key).reason is Denied.BODY_TOO_LARGE


def test_a_list_of_models_holds_for_every_way_to_name_one(gateway):
    strict = gateway.issue(denied_models=("gpt-4o*",))
    for name in ("gpt-4o-mini", "GPT-4O-mini", "openai/gpt-4o-mini", "openrouter/openai/gpt-4o-mini"):
        assert strict.chat(model=name).status_code == 403, name
    substitutes = strict.chat(model="openrouter/auto", models=["mistral-small", "openai/gpt-4o"])
    assert substitutes.status_code == 403
    assert strict.chat(model="gpt-5").status_code == 200
    narrow = gateway.issue(allowed_models=("gpt-4o-mini", "mistral/*"), allowed_providers=("openai", "mistral"))
    assert narrow.chat(model="gpt-4o-mini").status_code == 200
    assert narrow.chat(model="mistral-small-latest").status_code == 200
    assert narrow.chat(model="gpt-4o-mini-2024-07-18").status_code == 403
    assert narrow.chat(model="deepseek/gpt-4o-mini").status_code == 403


def test_a_provider_that_is_not_set_up(make_gateway):
    gateway = make_gateway(SPENDOPS_SANDBOX="false").start()
    key = gateway.issue()
    answer = key.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "provider_unknown")
    assert gateway.one_denial(key).reason is Denied.PROVIDER_UNKNOWN


# -- policy that changes under way ------------------------------------------------------------------------------------


def until(gateway: GatewayUnderTest, key, status: int) -> float:
    """Ask until the answer has a status; returns how long that took."""
    began = time.monotonic()
    wait_for(lambda: key.chat().status_code == status, f"the status {status}", 1.0)
    return time.monotonic() - began


def test_a_block_is_felt_within_a_second_and_so_is_its_end(gateway, key):
    assert key.chat().status_code == 200
    message = 'Budget "First" used: $0.00012465 of $0.0001. Resets 1 Dec 00:00 Asia/Kolkata.'
    gateway.block_tenant(key.tenant, Block(reason="budget_exhausted", message=message, budget="b_1"))
    until(gateway, key, 402)
    assert key.chat().json()["error"]["message"] == message
    assert gateway.denials(key)[-1].revs[tenant_document(key.tenant)] == gateway._rev
    gateway.block_tenant(key.tenant)
    until(gateway, key, 200)


def test_a_block_ends_by_itself(gateway, key):
    gateway.block_tenant(key.tenant, Block(reason="budget_exhausted", message="used", until=now_ms() + 400))
    until(gateway, key, 402)
    until(gateway, key, 200)


def test_a_request_that_was_opened_before_a_revocation_is_judged_when_it_is_whole(gateway, key):
    body = msgspec.json.encode({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]})
    opened = {reason: open_request(key, len(body)) for reason in (Denied.BUDGET_EXHAUSTED, Denied.KEY_REVOKED)}
    assert key.chat().status_code == 200  # by now both have long been looked at
    gateway.block_tenant(key.tenant, Block(reason="budget_exhausted", message="used"))
    until(gateway, key, 402)
    assert_answer(opened[Denied.BUDGET_EXHAUSTED], body, b"HTTP/1.1 402", b"budget_exhausted")
    gateway.block_tenant(key.tenant)
    key.revoke()
    until(gateway, key, 401)
    assert_answer(opened[Denied.KEY_REVOKED], body, b"HTTP/1.1 401", b"key_revoked")
    assert len(gateway.usage(key)) == 1


def test_a_request_that_does_not_come_in_whole_is_not_waited_for(make_gateway):
    gateway = make_gateway(SPENDOPS_GATEWAY_BODY_SECONDS="1").start()
    key = gateway.issue()
    assert_answer(open_request(key, 99), b"{", b"HTTP/1.1 408", b"body_timeout")
    assert (gateway.usage(key), gateway.denials(key)) == ([], [])


def open_request(key, length: int) -> socket.socket:
    """The head of a call, whose body is still to come."""
    caller = socket.create_connection(("127.0.0.1", key.gateway.port), timeout=20)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.text}\r\n"
    caller.sendall(head.encode() + f"Connection: close\r\nContent-Length: {length}\r\n\r\n".encode())
    return caller


def assert_answer(caller: socket.socket, body: bytes, *parts: bytes) -> None:
    with caller:
        caller.sendall(body)
        received = b""
        while data := caller.recv(65536):
            received += data
    for part in parts:
        assert part in received


def test_a_suspended_tenant(gateway, key):
    gateway.block_tenant(key.tenant, suspended=True)
    until(gateway, key, 402)
    assert gateway.denials(key)[-1].reason is Denied.TENANT_SUSPENDED


def test_a_revoked_key_and_a_deleted_one(gateway, key):
    assert key.chat().status_code == 200
    key.revoke()
    until(gateway, key, 401)
    gateway.write(Write(key.document, gateway.rev(), None))
    wait_for(lambda: key.chat().headers["x-spendops-reason"] == "key_unknown", "the deletion", 1.0)


def test_a_key_works_the_moment_it_is_published(gateway):
    for _ in range(20):
        assert gateway.issue().chat().status_code == 200


@pytest.mark.parametrize("body", [b"{not json", b'{"rev":1}', b'{"schema":9,"rev":1,"env":"dev","tenant":"t_x"}'])
def test_a_document_that_cannot_be_read_lets_nobody_in(gateway, key, body):
    gateway.write(Write(key.document, gateway.rev(), body))
    wait_for(lambda: key.chat().status_code == 503, "the refusal", 1.0)
    key.publish()
    until(gateway, key, 200)


def test_what_is_known_stays_in_force_while_kv_fails(make_gateway):
    gateway = make_gateway().start()
    key, hashed = gateway.issue(), key_hash("x", b"y")
    assert key.chat().status_code == 200
    assert gateway.health()["status"] == "ok"
    gateway.kv._db.execute("ALTER TABLE entries RENAME TO away")
    wait_for(lambda: not gateway.health()["kv_ok"], "the failure")
    assert gateway.health()["status"] == "degraded"
    assert key.chat().status_code == 200
    stranger = httpx.post(f"{gateway.url}/v1/chat/completions", headers={"x-api-key": hashed}, json={})
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (503, "policy_unavailable")
    gateway.kv._db.execute("ALTER TABLE away RENAME TO entries")
    wait_for(lambda: gateway.health()["kv_ok"], "the recovery")
    key.revoke()
    until(gateway, key, 401)
