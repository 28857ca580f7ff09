"""No event is lost: kill -9, a queue that cannot be written, SIGTERM amid calls; and prices that never mix."""

from __future__ import annotations

import asyncio
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
import pytest

from gateway.apis.chat import Chat
from gateway.arrival import Arrival
from gateway.attribution import Attribution
from gateway.auth import Caller
from gateway.calls.call import Call
from gateway.calls.forwarding import Forwarder
from gateway.calls.recording import Recorder
from gateway.config import Timeouts
from gateway.incoming import Incoming
from gateway.limits import KeyLimits
from gateway.metrics import Metrics
from gateway.missing import MissingModels
from gateway.outbox import Outbox
from gateway.providers.base import Provider
from gateway.providers.openai import OPENAI
from gateway.rules import Refusal
from gateway.tenantprices import LIST_PRICES
from gateway.upstream import Answer
from tests.gateway.peers import GatewayUnderTest, IssuedKey, wait_for
from tests.gateway.prices import blob, writes
from tests.loops import run as run_apart
from wire.documents import PRICING_BLOB, PRICING_VERSION, KeyPolicy, KeyPricing, encode
from wire.events import Status, UsageSource
from wire.kv.base import Write
from wire.queues.base import USAGE


def test_kill_9_loses_no_answered_call(make_gateway):
    gateway = make_gateway().start()
    key = gateway.issue()
    answered: list[str] = []
    for _ in range(3):
        stop = threading.Event()
        with ThreadPoolExecutor(8) as pool:
            callers = [pool.submit(call_until, key, stop, answered, stream=n % 2 == 0) for n in range(8)]
            enough = len(answered) + 60
            wait_for(lambda enough=enough: len(answered) >= enough, "sixty answers")
            gateway.stop(signal.SIGKILL)
            stop.set()
        for caller in callers:
            caller.result()
        gateway.start()
    events = [event.event_id for event in gateway.usage(key)]
    assert len(answered) >= 180
    assert set(answered) <= set(events)  # a call that was cut off may have its event all the same
    assert len(events) == len(set(events))


def call_until(key: IssuedKey, stop: threading.Event, answered: list[str], *, stream: bool) -> None:
    """Call until told to stop, noting the events of calls that came to their end."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "stream": stream}
    headers = {"authorization": f"Bearer {key.text}"}
    with httpx.Client(base_url=key.gateway.url, timeout=20) as client:
        while not stop.is_set():
            try:
                answer = client.post("/v1/chat/completions", json=body, headers=headers)
            except httpx.TransportError:
                continue
            assert answer.status_code == 200
            if not stream or answer.text.endswith("data: [DONE]\n\n"):
                answered.append(answer.headers["x-spendops-event"])


def test_every_answer_has_its_event(gateway, key):
    stop, answered = threading.Event(), []
    with ThreadPoolExecutor(8) as pool:
        for number in range(8):
            pool.submit(call_until, key, stop, answered, stream=number % 2 == 0)
        wait_for(lambda: len(answered) >= 200, "two hundred answers")
        stop.set()
    assert sorted(event.event_id for event in gateway.usage(key)) == sorted(answered)


@pytest.fixture
def broken_queue(make_gateway):
    """A gateway whose queue is gone, and what brings it back."""
    gateway: GatewayUnderTest = make_gateway().start()
    database = gateway._queues["usage-events"]._db
    database.execute("ALTER TABLE messages RENAME TO away")
    return gateway, lambda: database.execute("ALTER TABLE away RENAME TO messages")


def test_calls_are_refused_while_events_cannot_be_stored(broken_queue):
    gateway, mend = broken_queue
    key = gateway.issue()
    first = key.chat()  # nobody could know: it was forwarded
    assert (first.status_code, first.json()["error"]["code"]) == (503, "outbox_unavailable")
    assert gateway.health()["queue_ok"] is False
    assert httpx.get(f"{gateway.url}/health").status_code == 503
    second = key.chat()
    assert (second.status_code, second.headers["retry-after"]) == (503, "1")
    mend()
    wait_for(lambda: gateway.health()["queue_ok"], "the recovery")
    assert key.chat().status_code == 200
    ids = [event.event_id for event in gateway.usage(key)]
    assert ids[0] == first.headers["x-spendops-event"]  # stored as soon as that was possible
    assert len(ids) == 2
    assert [denial.event_id for denial in gateway.denials(key)] == [second.headers["x-spendops-event"]]


def test_a_stream_that_cannot_be_recorded_does_not_end_well(broken_queue):
    gateway, mend = broken_queue
    key = gateway.issue()
    with pytest.raises(httpx.RemoteProtocolError):
        key.chat(stream=True)
    mend()
    event = gateway.one_event(key)
    assert (event.status, event.streamed) == (Status.OK, True)


@pytest.mark.parametrize("streamed", [True, False])
def test_an_id_of_the_providers_that_is_not_text_loses_no_event(replayed, replayed_key, provider, streamed):
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    odd = {"x-request-id": "req_\xff\xe9" + "1" * 200}
    if streamed:
        provider.streams({"choices": [], "usage": usage}, headers=odd)
    else:
        provider.answers({"model": "gpt-4o-mini", "choices": [], "usage": usage}, headers=odd)
    assert replayed_key.chat(stream=streamed).content
    event = replayed.one_event(replayed_key)
    assert (event.status, event.units) == (Status.OK, {"requests": 1, "input": 3, "output": 2})
    assert event.upstream_request_id == ("req_??" + "1" * 200)[:128]


class FaultyUpstream:
    """Fails as only a defect does."""

    async def post(self, *arguments: object, **options: object) -> Answer:
        raise LookupError("a defect")


def test_a_defect_of_our_own_leaves_an_estimate(make_gateway):
    gateway = make_gateway()
    key = gateway.issue()
    policy = KeyPolicy(rev=1, env="dev", tenant=key.tenant, project="p_test", key=key.id)
    request = Incoming({"method": "POST", "path": "/v1/chat/completions", "headers": []})
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x" * 400}]}
    openai = Provider(OPENAI, base_url="http://127.0.0.1:1", secret="", credential="")
    policy = msgspec.structs.replace(policy, concurrency=1)
    limits = KeyLimits()
    slot = limits.take(policy, lambda: 0)
    assert not isinstance(slot, Refusal)
    call = Call(
        arrival=Arrival.of(request), api=Chat(), caller=Caller(policy, None, {}, "", ""), provider=openai,
        model="gpt-4o-mini", asked="gpt-4o-mini", tier="", selected=False, body=body, book=None, terms=LIST_PRICES,
        put_down_to=Attribution({}, ""), streamed=False, hide_usage=False, slot=slot, whole=0.0,
    )  # fmt: skip

    async def hears_nothing() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    async def says(message: object) -> None:
        raise AssertionError(f"nothing is to be said: {message}")

    async def run() -> None:
        outbox = Outbox(lambda kind: gateway.config.open_queue(kind, "dev"), (USAGE,))
        missing = MissingModels(lambda: gateway.config.open_kv("dev"))
        outbox.start()
        recorder = Recorder(outbox, missing, Metrics("dev", ()), env="dev")
        forwarder = Forwarder(FaultyUpstream(), recorder, limits, Timeouts())
        with pytest.raises(LookupError, match="a defect"):
            await forwarder.forward(call, request, hears_nothing, says)
        assert not isinstance(limits.take(policy, lambda: 0), Refusal)  # its place is free again
        await outbox.close(5)
        await missing.close()

    run_apart(run())
    event = gateway.one_event(key)
    assert (event.status, event.usage_source, event.http_status) == (Status.INTERRUPTED, UsageSource.ESTIMATED, 500)
    assert event.units == {"requests": 1, "input": 100}


@pytest.fixture
def before_provider(make_gateway, provider):
    """A gateway of this test's own before the replaying provider."""
    settings = {"OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "sk-x"}
    return make_gateway(
        SPENDOPS_GATEWAY_DRAIN_SECONDS="5", **{f"SPENDOPS_PROVIDER_{name}": value for name, value in settings.items()}
    ).start()


@pytest.mark.parametrize("streamed", [True, False])
def test_sigterm_lets_calls_in_flight_end(before_provider, provider, streamed):
    gate, key = threading.Event(), before_provider.issue()
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    if streamed:
        provider.streams({"choices": [], "usage": usage}, gate=gate)
    else:
        provider.answers({"model": "gpt-4o-mini", "choices": [], "usage": usage}, gate=gate)
    with ThreadPoolExecutor(2) as pool:
        call = pool.submit(key.chat, stream=streamed)
        wait_for(lambda: provider.seen, "the call")
        ended = pool.submit(before_provider.stop)
        wait_for(lambda: refused(before_provider), "the port to be closed")
        gate.set()
        assert call.result().status_code == 200
        assert ended.result() == 0
    assert before_provider.one_event(key).units == {"requests": 1, "input": 3, "output": 2}


def refused(gateway: GatewayUnderTest) -> bool:
    try:
        httpx.get(f"{gateway.url}/health")
    except httpx.TransportError:
        return True
    return False


def test_a_drain_has_an_end(before_provider, provider):
    gate, key = threading.Event(), before_provider.issue()
    provider.answers({}, gate=gate)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(key.chat, "x" * 400)
        wait_for(lambda: provider.seen, "the call")
        before_provider.stop()
        gate.set()
        answer = slow.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "gateway_stopping")
    event = before_provider.one_event(key)
    assert (event.status, event.units) == (Status.INTERRUPTED, {"requests": 1, "input": 100})


def test_prices_of_two_versions_never_mix(make_gateway):
    """While versions are published in quick succession, each event's cost is that of the version it names."""
    gateway = make_gateway().start()
    key = gateway.issue()
    base = gateway.health()["price_version"]
    stop = threading.Event()
    answered: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        for number in range(4):
            pool.submit(call_until, key, stop, answered, stream=number % 2 == 0)
        for version in range(base + 1, base + 9):
            gateway.publish_prices(version, factor=version)
            seen = len(answered)
            wait_for(lambda version=version: gateway.health()["price_version"] == version, "the new prices")
            wait_for(lambda seen=seen: len(answered) >= seen + 5, "some calls")
        stop.set()
    versions = set()
    for event in gateway.usage(key):
        factor = event.price_version if event.price_version > base else 1
        pico = (event.units["input"] * 150_000 + event.units["output"] * 600_000) * factor
        assert event.cost == f"0.{pico:012d}"
        versions.add(event.price_version)
    assert len(versions) >= 8


def test_a_blob_waits_for_its_version(make_gateway):
    gateway = make_gateway().start()
    current = gateway.health()["price_version"]
    blob, version = writes(current + 1, factor=3)
    gateway.write(blob)
    assert gateway.issue().chat().status_code == 200
    assert gateway.health()["price_version"] == current
    gateway.write(version)
    wait_for(lambda: gateway.health()["price_version"] == current + 1, "the new version")


def test_a_key_may_wait_for_prices(make_gateway):
    gateway = make_gateway().start()
    wanted = gateway.health()["price_version"] + 1
    key = gateway.issue(pricing=KeyPricing(min_version=wanted))
    assert key.chat().status_code == 503
    gateway.publish_prices(wanted)
    assert key.chat().status_code == 200
    assert gateway.one_event(key).price_version == wanted


def test_prices_that_cannot_be_read_leave_those_in_force(make_gateway):
    gateway = make_gateway().start()
    key = gateway.issue()
    version = gateway.health()["price_version"]
    gateway.write(Write(PRICING_BLOB, version + 1, b"{"), Write(PRICING_VERSION, version + 1, b"[]"))
    assert key.chat().headers["x-spendops-cost"]
    assert gateway.one_event(key).price_version == version
    gateway.publish_prices(version + 2)
    wait_for(lambda: gateway.health()["price_version"] == version + 2, "good prices")


def test_a_document_that_no_reader_expects_does_not_stall_the_others(make_gateway):
    """A blob that decodes, and whose match rules are no rules: everything else goes on being taken."""
    gateway = make_gateway().start()
    key = gateway.issue()
    version = gateway.health()["price_version"]
    odd = msgspec.json.decode(encode(blob(version + 1)))
    odd["providers"]["openai"]["rules"] = [[{"or": [{"equals": 5}]}, "gpt-5"]]
    gateway.write(Write(PRICING_BLOB, version + 1, msgspec.json.encode(odd)))
    assert key.chat().status_code == 200
    key.revoke()
    wait_for(lambda: key.chat().status_code == 401, "the revocation", 1.0)
    assert gateway.health()["kv_ok"] is True
    assert gateway.health()["price_version"] == version
    gateway.publish_prices(version + 2)
    wait_for(lambda: gateway.health()["price_version"] == version + 2, "good prices")
    assert gateway.program is not None
    assert sum("cannot be taken" in line for line in gateway.program.said) == 1
