"""Streams: bytes as they came, an end mark that waits for the event, people who leave midway, slow readers."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.apis.base import Verdict
from gateway.apis.chat import ChatReader
from gateway.streaming import EventStream, data_of
from tests.gateway.peers import IssuedKey, wait_for
from wire.events import Status, UsageSource


def chunk(text: str) -> dict[str, object]:
    return {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}


@pytest.mark.parametrize("asked", [True, False])
def test_bytes_pass_unchanged_but_for_what_was_not_asked_for(replayed, replayed_key, provider, asked):
    odd = [b": a comment\n\n", b"event: x\r\ndata:no space\r\n\r\n", b"data: {not json}\n\n", b"data: a\ndata: b\n\n"]
    provider.streams(*odd, chunk("Grüße ☕"), USAGE)
    options = {"stream_options": {"include_usage": True}} if asked else {}
    answer = replayed_key.chat(stream=True, **options)
    expected = b"".join(provider.reply.body)
    if not asked:
        expected = expected.replace(b"data: " + msgspec.json.encode(USAGE) + b"\n\n", b"")
    assert answer.content == expected
    assert answer.headers["content-type"] == "text/event-stream"
    assert "x-spendops-cost" not in answer.headers
    assert replayed.one_event(replayed_key).units == {"requests": 1, "input": 3, "output": 2}


def test_running_totals_count_once(replayed, replayed_key, provider):
    parts = [chunk("ab") | {"usage": {"prompt_tokens": 9, "completion_tokens": n, "total_tokens": 9 + n}}
             for n in range(1, 6)]  # fmt: skip
    provider.streams(*parts, end=b"")  # and no end mark either
    answer = replayed_key.chat(stream=True)
    assert answer.content == b"".join(provider.reply.body)
    event = replayed.one_event(replayed_key)
    assert (event.units, event.status) == ({"requests": 1, "input": 9, "output": 5}, Status.OK)


def test_a_stream_without_usage_is_estimated(replayed, replayed_key, provider):
    provider.streams(chunk("x" * 80), chunk("y" * 80))
    replayed_key.chat("z" * 400, stream=True)
    event = replayed.one_event(replayed_key)
    assert (event.status, event.usage_source) == (Status.OK, UsageSource.ESTIMATED)
    assert event.units == {"requests": 1, "input": 100, "output": 40}


def test_a_provider_that_dies_half_way(replayed, replayed_key, provider):
    provider.streams(chunk("x" * 80), end=b"", cut=True)
    answer = replayed_key.chat("z" * 400, stream=True)
    *_, last = answer.text.strip().split("\n\n")
    assert msgspec.json.decode(data_of(last.encode()))["error"]["code"] == "upstream_interrupted"
    event = replayed.one_event(replayed_key)
    assert (event.status, event.units) == (Status.INTERRUPTED, {"requests": 1, "input": 100, "output": 20})


def test_an_error_inside_a_stream(replayed, replayed_key, provider):
    provider.streams(chunk("x" * 80), {"error": {"message": "overloaded"}})
    answer = replayed_key.chat("z" * 400, stream=True)
    assert answer.content == b"".join(provider.reply.body)
    event = replayed.one_event(replayed_key)
    assert (event.status, event.units) == (Status.INTERRUPTED, {"requests": 1, "input": 100, "output": 20})


def test_an_error_at_the_beginning_of_a_stream(replayed, replayed_key, provider):
    provider.streams({"error": {"message": "overloaded"}}, end=b"")
    assert "overloaded" in replayed_key.chat(stream=True).text
    event = replayed.one_event(replayed_key)
    assert (event.status, event.units, event.cost) == (Status.ERROR, {}, "0.000000000000")


def test_a_response_that_failed(replayed, replayed_key, provider):
    provider.streams({"type": "response.failed", "response": {"status": "failed", "usage": None}}, end=b"")
    answer = replayed_key.post("/v1/responses", {"model": "gpt-4o-mini", "input": "x", "stream": True})
    assert answer.content == b"".join(provider.reply.body)
    event = replayed.one_event(replayed_key)
    assert (event.status, event.units, event.cost) == (Status.ERROR, {}, "0.000000000000")


def test_an_error_instead_of_a_stream(replayed, replayed_key, provider):
    provider.answers({"error": {"message": "bad"}}, status=400)
    answer = replayed_key.chat(stream=True)
    assert (answer.status_code, answer.json()) == (400, {"error": {"message": "bad"}})
    assert answer.headers["x-spendops-cost"] == "0.000000000000"


def test_the_end_mark_comes_after_the_event_is_stored(gateway, key):
    """Whoever reads the end mark finds the event: it is in the queue before the mark is sent."""
    body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    for count in range(1, 11):
        with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", headers=bearer(key), json=body) as answer:
            for line in answer.iter_lines():
                if line == "data: [DONE]":
                    assert len(gateway.usage(key)) == count


def bearer(key: IssuedKey) -> dict[str, str]:
    return {"authorization": f"Bearer {key.text}"}


def send_raw(key: IssuedKey, *, stream: bool, fault: str = "") -> socket.socket:
    """A call over a bare socket, which can then be closed at any moment."""
    content = {"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": "x" * 400}]}
    body = msgspec.json.encode(content)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.text}\r\n"
        f"X-Sandbox-Fault: {fault}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    caller = socket.create_connection(("127.0.0.1", key.gateway.port), timeout=10)
    caller.sendall(head.encode() + body)
    return caller


def test_a_caller_who_leaves_amid_a_stream_is_noticed(gateway, key):
    caller = send_raw(key, stream=True, fault="pace=0.05")  # 66 events: over three seconds
    received = b""
    while received.count(b"data: ") < 8:
        received += caller.recv(65536)
    caller.close()
    event = gateway.one_event(key)
    assert (event.status, event.usage_source, event.http_status) == (Status.CANCELLED, UsageSource.ESTIMATED, 200)
    assert event.units["input"] == 100
    assert 5 <= event.units["output"] < 60  # what had been streamed, not the whole answer


def test_a_caller_who_leaves_before_the_answer_is_noticed(replayed, replayed_key, provider):
    gate = threading.Event()
    provider.answers({}, gate=gate)
    caller = send_raw(replayed_key, stream=False)
    wait_for(lambda: provider.seen, "the call")
    caller.close()
    event = replayed.one_event(replayed_key)
    gate.set()
    assert (event.status, event.http_status) == (Status.CANCELLED, 499)
    assert event.units == {"requests": 1, "input": 100}
    assert event.duration_ms < 15_000


def test_a_caller_who_never_finishes_the_request_leaves_no_trace(gateway, key):
    caller = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.text}\r\n"
    caller.sendall(head.encode() + b"Content-Length: 999\r\n\r\n{")
    caller.close()
    assert key.chat().status_code == 200
    assert len(gateway.usage(key)) == 1
    assert gateway.denials(key) == []


def memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_a_slow_reader_of_a_long_stream_costs_little_memory(make_gateway, provider):
    gateway = make_gateway(
        SPENDOPS_PROVIDER_OPENAI_BASE_URL=provider.url, SPENDOPS_PROVIDER_OPENAI_API_KEY="sk-x"
    ).start()
    key = gateway.issue()
    part = b"data: " + msgspec.json.encode(chunk("x" * 16_000)) + b"\n\n"
    provider.streams(part, USAGE)
    assert key.chat(stream=True).status_code == 200  # everything that is made once is made
    before = memory(gateway.pid)
    provider.streams(*[part] * 4000, USAGE)  # 64 MB
    caller = send_raw(key, stream=True)
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    most, until = 0, time.monotonic() + 1.5
    while time.monotonic() < until:
        most = max(most, memory(gateway.pid) - before)
        time.sleep(0.02)
    received = 0
    caller.settimeout(20)
    while data := caller.recv(1 << 20):
        received += len(data)
        most = max(most, memory(gateway.pid) - before)
        if data.endswith(b"0\r\n\r\n"):
            break
    caller.close()
    assert received > 64_000_000
    assert most < 10_000_000
    (_, event) = wait_for(lambda: len(gateway.usage(key)) == 2 and gateway.usage(key), "both events")
    assert event.units == {"requests": 1, "input": 3, "output": 2}


def test_a_reader_and_a_provider_that_stall_are_not_waited_for(make_gateway, provider):
    gateway = make_gateway(
        SPENDOPS_PROVIDER_OPENAI_BASE_URL=provider.url,
        SPENDOPS_PROVIDER_OPENAI_API_KEY="sk-x",
        SPENDOPS_UPSTREAM_IDLE_SECONDS="1",
    ).start()
    reader, caller = gateway.issue(), gateway.issue()
    provider.streams(*[chunk("x" * 16_000)] * 2000, USAGE)  # 32 MB, more than all buffers on the way hold
    stalled = send_raw(reader, stream=True)
    event = gateway.one_event(reader)
    stalled.close()
    assert (event.status, event.usage_source) == (Status.CANCELLED, UsageSource.ESTIMATED)

    slow = caller.chat("z" * 400, {"x-sandbox-fault": "pace=30"}, stream=True, model="mistral/mistral-small-latest")
    assert "upstream_timeout" in slow.text
    event = gateway.one_event(caller)
    assert (event.status, event.units["input"]) == (Status.INTERRUPTED, 100)


@pytest.fixture
def impatient(make_gateway, provider):
    """A gateway before the replaying provider, whose streams may stall for a second."""
    return make_gateway(
        SPENDOPS_PROVIDER_OPENAI_BASE_URL=provider.url,
        SPENDOPS_PROVIDER_OPENAI_API_KEY="sk-x",
        SPENDOPS_UPSTREAM_IDLE_SECONDS="1",
    ).start()


def test_a_chunk_that_is_none_ends_a_stream(impatient, provider):
    key = impatient.issue()
    seen = threading.Event()
    provider.streams(chunk("x" * 80), end=b"", garbage=b"no length\r\nat all\r\n", seen=seen)
    body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "z" * 400}]}
    headers = {"authorization": f"Bearer {key.text}"}
    url = f"{impatient.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=20) as answer:
        parts = answer.iter_text()
        assert "x" * 80 in next(parts)
        seen.set()
        assert "upstream_" in "".join(parts)
    event = impatient.one_event(key)
    assert (event.status, event.units) == (Status.INTERRUPTED, {"requests": 1, "input": 100, "output": 20})


def test_a_plain_answer_may_take_longer_than_a_stream_may_stall(impatient):
    key = impatient.issue()
    answer = key.chat("z", {"x-sandbox-fault": "delay=2"}, model="mistral/mistral-small-latest")
    assert answer.status_code == 200
    assert impatient.one_event(key).status is Status.OK


# -- the splitter, by itself -------------------------------------------------------------------------------------------


class Recorder:
    """Remembers what it saw; lets everything pass up to an end mark."""

    def __init__(self) -> None:
        self.saw: list[bytes] = []

    def see(self, data: bytes) -> Verdict:
        self.saw.append(data)
        if data == b"drop":
            return Verdict.DROP
        return Verdict.LAST if data == b"[DONE]" else Verdict.PASS


EVENTS = st.lists(
    st.sampled_from(
        [b"data: one\n\n", b"data:two\r\n\r\n", b": ping\n\n", b"event: a\ndata: x\ndata: y\n\n", b"data: drop\n\n",
         b"data: " + b"z" * 50 + b"\n\n", b"id: 7\r\ndata: three\r\n\r\n"]
    ),
    max_size=12,
)  # fmt: skip


@settings(deadline=None)
@given(EVENTS, st.lists(st.integers(1, 40), max_size=60), st.booleans())
def test_a_stream_is_seen_the_same_however_it_is_cut(events, cuts, marked):
    whole = b"".join(events) + (b"data: [DONE]\n\n: after\n\n" if marked else b"")
    recorder = Recorder()
    stream = EventStream(recorder)
    passed, at = b"", 0
    for cut in [*cuts, len(whole)]:
        part = whole[at : at + cut]
        at += cut
        passed += stream.feed(part)
    passed += stream.finish()
    straight = [data_of(event) for event in events if data_of(event)]
    assert recorder.saw == straight + ([b"[DONE]"] if marked else [])
    assert passed + stream.held == whole.replace(b"data: drop\n\n", b"")
    assert stream.ended is marked


@settings(deadline=None)
@given(st.integers(101, 400), st.lists(st.integers(1, 90), min_size=1, max_size=20))
def test_an_event_that_is_too_large_passes_unseen(size, cuts):
    whole = b"data: small\n\ndata: " + b"x" * size + b"\n\ndata: after\n\n"
    recorder = Recorder()
    stream = EventStream(recorder, event_most=100)
    passed, at = b"", 0
    for cut in [*cuts, len(whole)]:
        passed += stream.feed(whole[at : at + cut])
        at += cut
    passed += stream.finish()
    assert passed == whole
    assert recorder.saw[0] == b"small"
    assert recorder.saw[-1] == b"after"


def test_a_last_event_with_no_empty_line_is_seen():
    reader = ChatReader(hide_usage=False)
    stream = EventStream(reader)
    assert stream.feed(b"data: " + msgspec.json.encode(USAGE)) == b""
    assert stream.finish() == b"data: " + msgspec.json.encode(USAGE)
    assert reader.reading().units == {"requests": 1, "input": 3, "output": 2}
