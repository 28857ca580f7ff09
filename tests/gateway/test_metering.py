"""Usage blocks as the providers document them, replayed byte for byte: units, cost, and what is sent upstream."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from multidict import CIMultiDict
from yarl import URL

from gateway.apis.chat import Chat
from gateway.config import Timeouts
from gateway.estimate import text_bytes
from gateway.upstream import Upstream, UpstreamFailed
from tests.gateway.peers import wait_for
from tests.loops import run as run_apart
from wire.documents import Missing, decode_missing, missing_document
from wire.events import Status, UsageSource


def completion(usage: object, **fields: object) -> dict[str, object]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi there, friend!"}, "finish_reason": "stop"}
    answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return answer | ({"usage": usage} if usage is not None else {}) | fields


CHAT_CASES = {
    "OpenAI: cached tokens are part of the prompt": (
        "gpt-4o-mini",
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "accepted_prediction_tokens": 0},
        },
        {"requests": 1, "input": 86, "cache_read": 1920, "output": 300},
        86 * 150_000 + 1920 * 75_000 + 300 * 600_000,
    ),
    "OpenAI: reasoning tokens are part of the completion": (
        "gpt-5",
        {
            "prompt_tokens": 9,
            "completion_tokens": 1186,
            "total_tokens": 1195,
            "completion_tokens_details": {"reasoning_tokens": 1024},
        },
        {"requests": 1, "input": 9, "reasoning": 1024, "output": 162},
        9 * 1_250_000 + 1186 * 10_000_000,
    ),
    "OpenAI: audio in and out": (
        "gpt-4o-audio-preview",
        {
            "prompt_tokens": 100,
            "completion_tokens": 90,
            "total_tokens": 190,
            "prompt_tokens_details": {"audio_tokens": 70, "cached_tokens": 0},
            "completion_tokens_details": {"audio_tokens": 60},
        },
        {"requests": 1, "input": 30, "audio_in": 70, "output": 30, "audio_out": 60},
        30 * 2_500_000 + 70 * 40_000_000 + 30 * 10_000_000 + 60 * 80_000_000,
    ),
    "DeepSeek: cache hits beside the prompt's count": (
        "deepseek-chat",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 200,
            "total_tokens": 1200,
            "prompt_cache_hit_tokens": 600,
            "prompt_cache_miss_tokens": 400,
        },
        {"requests": 1, "input": 400, "cache_read": 600, "output": 200},
        400 * 270_000 + 600 * 70_000 + 200 * 1_100_000,
    ),
    "x-ai: reasoning tokens are not part of the completion": (
        "grok-3-mini",
        {
            "prompt_tokens": 30,
            "completion_tokens": 10,
            "total_tokens": 340,
            "completion_tokens_details": {"reasoning_tokens": 300},
        },
        {"requests": 1, "input": 30, "reasoning": 300, "output": 10},
        30 * 300_000 + 310 * 500_000,
    ),
    "Gemini: thinking shows in the total alone": (
        "gemini-2.5-flash",
        {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 120},
        {"requests": 1, "input": 12, "reasoning": 100, "output": 8},
        12 * 300_000 + 108 * 2_500_000,
    ),
    "Mistral: plain counts": (
        "mistral-small-latest",
        {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70},
        {"requests": 1, "input": 50, "output": 20},
        50 * 100_000 + 20 * 300_000,
    ),
}


@pytest.mark.parametrize("case", CHAT_CASES)
def test_a_chats_usage_block(replayed, replayed_key, provider, case):
    model, usage, units, pico = CHAT_CASES[case]
    provider.answers(completion(usage))
    answer = replayed_key.chat(model=model)
    event = replayed.one_event(replayed_key)
    assert event.units == units
    assert answer.headers["x-spendops-cost"] == event.cost == f"0.{pico:012d}"
    assert event.usage_source is UsageSource.PROVIDER
    assert answer.content == provider.reply.body  # byte for byte


@pytest.mark.parametrize(
    ("model", "name", "path_of"),
    [
        ("gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("some-new-model", "openai", "some-new-model"),
        ("MISTRAL/mistral-small-latest", "mistral", "mistral-small-latest"),
        ("claude-sonnet-4-6", "anthropic", "claude-sonnet-4-6"),
        ("openrouter/openai/gpt-4o-mini", "openrouter", "openai/gpt-4o-mini"),
        ("meta-llama/llama-4", "openai", "meta-llama/llama-4"),  # no provider of ours: part of the name
        ("groq/llama-4", "openai", "groq/llama-4"),  # not configured in this gateway
    ],
)
def test_the_provider_of_a_model(replayed, replayed_key, provider, model, name, path_of):
    provider.answers(completion({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}))
    assert replayed_key.chat(model=model).status_code == 200
    (seen,) = provider.seen
    assert (seen.path, seen.body["model"]) == ("/v1/chat/completions", path_of)
    assert seen.headers["authorization"] == f"Bearer sk-{name.replace('-', '_')}"
    event = replayed.one_event(replayed_key)
    assert (event.provider, event.model_asked, event.credential) == (name, path_of, "default")


def test_what_is_sent_to_a_provider_and_what_is_not(replayed, replayed_key, provider):
    provider.answers(
        completion({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}),
        headers={"x-request-id": "req_up", "openai-organization": "ours", "set-cookie": "a=b", "openai-version": "1",
                 "x-spendops-event": "forged"},
    )  # fmt: skip
    answer = replayed_key.chat(
        headers={
            "x-request-id": "mine-1",
            "x-api-key": "sk-callers-own",
            "openai-organization": "theirs",
            "openai-beta": "assistants=v2",
            "user-agent": "their-agent/1",
            "x-spendops-tags": "team=search",
            "x-sandbox-fault": "status=500",
            "connection": "keep-alive, x-hop",
            "x-hop": "1",
            "cookie": "session=1",
            "accept-encoding": "gzip",
        }
    )
    (seen,) = provider.seen
    assert replayed_key.text not in str(seen.headers)
    assert seen.headers["authorization"] == "Bearer sk-openai"
    assert (seen.headers["user-agent"], seen.headers["openai-beta"]) == ("their-agent/1", "assistants=v2")
    assert (seen.headers["x-request-id"], seen.headers["accept-encoding"]) == ("mine-1", "identity")
    for name in ("x-api-key", "openai-organization", "x-spendops-tags", "x-sandbox-fault", "x-hop", "cookie"):
        assert name not in seen.headers
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["openai-version"] == "1"
    assert answer.headers["x-spendops-event"] != "forged"
    assert "set-cookie" not in answer.headers
    assert "openai-organization" not in answer.headers
    event = replayed.one_event(replayed_key)
    assert (event.request_id, event.upstream_request_id, event.tags) == ("mine-1", "req_up", {"team": "search"})


def test_anthropics_own_headers(replayed_key, provider):
    provider.answers({"model": "claude-sonnet-4-6", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}})
    body = {"model": "anthropic/claude-sonnet-4-6", "max_tokens": 1, "messages": []}
    replayed_key.post("/v1/messages", body)
    replayed_key.post("/v1/messages", body, {"anthropic-version": "2099-01-01", "anthropic-beta": "x"})
    plain, named = provider.seen
    assert plain.path == "/v1/messages"
    assert plain.body["model"] == "claude-sonnet-4-6"
    assert (plain.headers["x-api-key"], plain.headers["anthropic-version"]) == ("sk-anthropic", "2023-06-01")
    assert "authorization" not in plain.headers
    assert (named.headers["anthropic-version"], named.headers["anthropic-beta"]) == ("2099-01-01", "x")


def test_a_name_that_stands_twice_is_sent_once(replayed_key, provider):
    replayed_key.publish(allowed_models=("gpt-4o-mini",))
    provider.answers(completion({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}))
    raw = b'{"model":"gpt-5","messages":[],"seed":123456789012345678901234567890,"model":"gpt-4o-mini"}'
    assert replayed_key.post("/v1/chat/completions", raw).status_code == 200
    assert provider.seen[0].body["model"] == "gpt-4o-mini"


def test_the_service_tier_of_the_answer_decides_the_price(replayed, replayed_key, provider):
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    provider.answers(completion(usage, service_tier="flex"))
    replayed_key.chat(model="gpt-5", service_tier="auto")
    event = replayed.one_event(replayed_key)
    assert (event.service_tier, event.cost) == ("flex", f"0.{100 * 625_000 + 10 * 5_000_000:012d}")


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6-20260217",
        "content": [],
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 12304,
            "cache_read_input_tokens": 2455,
            "cache_creation": {"ephemeral_5m_input_tokens": 304, "ephemeral_1h_input_tokens": 12000},
            "output_tokens": 1,
            "service_tier": "standard",
        },
    },
}
DELTA = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {
        "input_tokens": 3,
        "cache_creation_input_tokens": 12304,
        "cache_read_input_tokens": 2455,
        "output_tokens": 550,
        "server_tool_use": {"web_search_requests": 2},
    },
}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 40}}


def test_both_halves_of_anthropics_stream_make_the_usage(replayed, replayed_key, provider):
    provider.streams(START, TEXT, DELTA, {"type": "message_stop"}, end=b"")
    body = {"model": "claude-sonnet-4-6-20260217", "max_tokens": 9, "messages": [], "stream": True}
    answer = replayed_key.post("/v1/messages", body)
    assert answer.content == b"".join(provider.reply.body)
    event = replayed.one_event(replayed_key)
    assert event.units == {
        "requests": 1, "input": 3, "cache_read": 2455, "cache_write_5m": 304, "cache_write_1h": 12000, "output": 550,
        "web_searches": 2,
    }  # fmt: skip
    tokens = 3 * 3_000_000 + 2455 * 300_000 + 304 * 3_750_000 + 12000 * 6_000_000 + 550 * 15_000_000
    assert event.cost == f"0.{tokens + 2 * 10_000_000_000:012d}"
    assert (event.service_tier, event.model_priced) == ("standard", "claude-sonnet-4-6")


def test_searches_of_a_response_are_counted(replayed, replayed_key, provider):
    output = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "message"},
    ]
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    provider.answers({"model": "gpt-4o-mini", "status": "completed", "output": output, "usage": usage})
    replayed_key.post("/v1/responses", {"model": "gpt-4o-mini", "input": "x"})
    event = replayed.one_event(replayed_key)
    assert event.units == {"requests": 1, "input": 10, "output": 5, "web_searches": 1}
    assert event.cost is None  # the test's book has no price for a search: unpriced is not free
    assert event.model_priced == "gpt-4o-mini"
    wait_for(lambda: replayed.kv.entry(missing_document("openai", "gpt-4o-mini")), "the flag")


def test_no_usage_in_the_answer_is_estimated(replayed, replayed_key, provider):
    provider.answers(completion(None))
    replayed_key.chat("x" * 400)
    event = replayed.one_event(replayed_key)
    assert (event.status, event.usage_source) == (Status.OK, UsageSource.ESTIMATED)
    assert event.units == {"requests": 1, "input": 100, "output": 5}  # 17 bytes came back


def test_a_usage_block_of_nonsense_is_estimated(replayed, replayed_key, provider):
    provider.answers(completion({"prompt_tokens": "many", "completion_tokens": []}))
    replayed_key.chat("x" * 400)
    assert replayed.one_event(replayed_key).usage_source is UsageSource.ESTIMATED


ODD_ANSWERS = {
    "whole numbers written as fractions": (
        "/v1/chat/completions",
        completion({"prompt_tokens": 12.0, "completion_tokens": 3.0, "prompt_tokens_details": {"cached_tokens": 2.0}}),
        {"requests": 1, "input": 10, "cache_read": 2, "output": 3},
    ),
    "a model and a tier that are no texts": (
        "/v1/chat/completions",
        completion({"prompt_tokens": 12, "completion_tokens": 3}, model=5, service_tier={}),
        {"requests": 1, "input": 12, "output": 3},
    ),
    "details that are none": (
        "/v1/chat/completions",
        completion({"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": [], "total_tokens": "15"}),
        {"requests": 1, "input": 12, "output": 3},
    ),
    "an action that is a text": (
        "/v1/responses",
        {"output": [{"type": "computer_call", "action": "click"}, 7], "usage": {"input_tokens": 4, "output_tokens": 2}},
        {"requests": 1, "input": 4, "output": 2},
    ),
    "Anthropic's, with a breakdown that is none": (
        "/v1/messages",
        {"model": 1, "usage": {"input_tokens": 4.0, "output_tokens": 2, "cache_creation": 0, "service_tier": 3}},
        {"requests": 1, "input": 4, "output": 2},
    ),
}


@pytest.mark.parametrize("case", ODD_ANSWERS)
def test_an_oddity_beside_it_does_not_cost_the_usage(replayed, replayed_key, provider, case):
    path, answer, units = ODD_ANSWERS[case]
    provider.answers(answer)
    replayed_key.post(path, {"model": "gpt-4o-mini", "messages": [], "input": "x"})
    event = replayed.one_event(replayed_key)
    assert (event.usage_source, event.units) == (UsageSource.PROVIDER, units)


def test_an_odd_delta_does_not_cost_a_streams_usage(replayed, replayed_key, provider):
    call = {"function": {"name": "f", "arguments": {"city": "Pune"}}}
    provider.streams(
        {"choices": [{"delta": {"content": [{"type": "text", "text": "x" * 8}], "tool_calls": [call]}}],
         "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    )  # fmt: skip
    replayed_key.chat(stream=True)
    event = replayed.one_event(replayed_key)
    assert (event.usage_source, event.units) == (UsageSource.PROVIDER, {"requests": 1, "input": 12, "output": 3})


def test_a_part_of_a_token_is_no_count(replayed, replayed_key, provider):
    provider.answers(completion({"prompt_tokens": 12.5, "completion_tokens": 3}))
    replayed_key.chat("x" * 400)
    event = replayed.one_event(replayed_key)
    assert (event.usage_source, event.units["input"]) == (UsageSource.ESTIMATED, 100)


def test_a_picture_is_not_text():
    output = [{"type": "image_generation_call", "result": "A" * 9000, "partial_image_b64": "A" * 9000}]
    assert text_bytes({"output": output, "text": "abcd"}) == 4


def test_negative_counts_are_never_metered(replayed, replayed_key, provider):
    provider.answers(
        completion({"prompt_tokens": 5, "completion_tokens": -7, "prompt_tokens_details": {"cached_tokens": 99}})
    )
    replayed_key.chat()
    assert replayed.one_event(replayed_key).units == {"requests": 1, "cache_read": 5}


@pytest.mark.parametrize("status", [400, 404, 429, 500, 529])
def test_a_providers_error_is_passed_on_and_costs_nothing(replayed, replayed_key, provider, status):
    provider.answers({"error": {"message": "no", "type": "x"}}, status=status, headers={"retry-after": "7"})
    answer = replayed_key.chat(model="never-heard-of", stream=True)
    assert (answer.status_code, answer.content) == (status, provider.reply.body)
    assert answer.headers["retry-after"] == "7"
    event = replayed.one_event(replayed_key)
    assert (event.status, event.http_status, event.units, event.cost) == (Status.ERROR, status, {}, "0.000000000000")
    assert replayed.kv.get(missing_document("openai", "never-heard-of")) is None


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_an_error_inside_an_answer_that_calls_itself_good(replayed, replayed_key, provider, path):
    provider.answers({"error": {"message": "overloaded", "code": 502}})
    answer = replayed_key.post(path, {"model": "gpt-4o-mini", "messages": [], "input": "x" * 400})
    assert (answer.status_code, answer.content) == (200, provider.reply.body)
    event = replayed.one_event(replayed_key)
    assert (event.status, event.units, event.cost) == (Status.ERROR, {}, "0.000000000000")


def test_our_credential_being_refused_is_not_the_callers_fault(replayed, replayed_key, provider):
    provider.answers({"error": {"message": "Incorrect API key provided: sk-open*ai"}}, status=401)
    answer = replayed_key.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_credential_refused")
    assert "sk-open" not in answer.text
    assert answer.headers["x-should-retry"] == "false"
    assert replayed.one_event(replayed_key).status is Status.ERROR


def test_a_redirect_is_not_followed(replayed, replayed_key, provider):
    provider.answers(b"", status=302, headers={"location": provider.url})
    assert replayed_key.chat().status_code == 502
    assert len(provider.seen) == 1
    assert replayed.one_event(replayed_key).cost == "0.000000000000"


def test_an_answer_that_breaks_off_is_estimated(replayed, replayed_key, provider):
    provider.answers(completion({"prompt_tokens": 1, "completion_tokens": 1}), cut=True)
    answer = replayed_key.chat("x" * 400)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_interrupted")
    event = replayed.one_event(replayed_key)
    assert (event.status, event.units) == (Status.INTERRUPTED, {"requests": 1, "input": 100})


def test_an_unknown_model_is_neither_free_nor_an_error(replayed, replayed_key, provider):
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    provider.answers(completion(usage, model="brand:new"))
    answers = [replayed_key.chat(model="brand:new") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "x-spendops-cost" not in answers[0].headers
    first, *_ = events = wait_for(lambda: replayed.usage(replayed_key), "the events")
    assert [event.cost for event in events] == [None, None, None]
    assert (first.model_priced, first.units) == ("", {"requests": 1, "input": 7, "output": 3})
    name = missing_document("openai", "brand:new")
    entry = wait_for(lambda: replayed.kv.entry(name), "the flag")
    assert decode_missing(entry.body) == Missing(
        schema=1, env="dev", provider="openai", model="brand:new", first_seen=first.ts, tenant=replayed_key.tenant,
        event_id=first.event_id,
    )  # fmt: skip
    replayed.issue().chat(model="brand:new")
    assert replayed.kv.entry(name) == entry  # once


def test_a_routers_alias_is_priced_by_the_model_that_answered(replayed, replayed_key, provider):
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    provider.answers(completion(usage, model="gpt-4o-mini-2024-07-18"))
    replayed_key.chat(model="best-available")
    event = replayed.one_event(replayed_key)
    assert (event.model_asked, event.model_priced, event.cost) == ("best-available", "gpt-4o-mini", "0.000002100000")


def test_a_substitute_that_answered_is_what_is_priced(replayed, replayed_key, provider):
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    provider.answers(completion(usage, model="gpt-4o-mini"))
    replayed_key.chat(model="gpt-5", models=["gpt-4o-mini"])
    event = replayed.one_event(replayed_key)
    assert (event.model_asked, event.model_priced, event.cost) == ("gpt-5", "gpt-4o-mini", "0.000002100000")


def test_the_callers_stream_options_are_kept(replayed_key, provider):
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    provider.streams({"choices": [], "usage": usage})
    replayed_key.chat(stream=True, stream_options={"include_obfuscation": False})
    replayed_key.chat(stream=True, model="mistral-small-latest")  # refuses parameters that it does not know
    openai, mistral = provider.seen
    assert openai.body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert "stream_options" not in mistral.body


def test_a_body_that_is_not_our_concern_is_left_alone():
    body = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}
    assert Chat().ask_usage(body) is False
    assert body["stream_options"] == {"include_usage": True}


def test_an_unreachable_provider_costs_nothing(make_gateway):
    gateway = make_gateway(
        SPENDOPS_PROVIDER_OPENAI_BASE_URL="http://127.0.0.1:1/v1", SPENDOPS_PROVIDER_OPENAI_API_KEY="sk-x"
    ).start()
    key = gateway.issue()
    answer = key.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
    event = gateway.one_event(key)
    assert (event.status, event.units, event.cost) == (Status.UNREACHABLE, {}, "0.000000000000")


def test_a_call_that_never_left_did_not_reach_anybody():
    """A name that is never resolved: the time is up before there is anybody to send to."""

    async def hang(*arguments: object, **options: object) -> None:
        await asyncio.Event().wait()

    async def ask() -> UpstreamFailed:
        asyncio.get_running_loop().getaddrinfo = hang  # type: ignore[method-assign, assignment]
        upstream = Upstream(Timeouts(connect=0.05, total=0.2))
        await upstream.start()
        try:
            with pytest.raises(UpstreamFailed) as failed:
                await upstream.post(URL("http://nowhere.test/v1"), CIMultiDict(), b"{}", stream=False)
        finally:
            await upstream.close()
        return failed.value

    failure = run_apart(ask())
    assert (failure.timed_out, failure.reached) == (True, False)


def test_a_provider_that_is_too_slow(make_gateway):
    gateway = make_gateway(SPENDOPS_UPSTREAM_TOTAL_SECONDS="1", SPENDOPS_UPSTREAM_FIRST_BYTE_SECONDS="1",
                           SPENDOPS_UPSTREAM_CONNECT_SECONDS="1").start()  # fmt: skip
    key = gateway.issue()
    slow = {"x-sandbox-fault": "delay=20"}
    plain: httpx.Response = key.chat("x" * 400, slow)
    assert (plain.status_code, plain.json()["error"]["code"]) == (504, "upstream_timeout")
    event = gateway.one_event(key)  # it may have read the prompt: the honest guess is that it did
    assert (event.status, event.units) == (Status.UNREACHABLE, {"requests": 1, "input": 100})
    streamed = key.chat("x" * 400, slow, stream=True)
    assert streamed.status_code == 504
