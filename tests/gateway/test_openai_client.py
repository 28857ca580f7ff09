"""The official openai client, unchanged, against the gateway before the sandbox."""

from __future__ import annotations

import openai
import pytest

from tests.gateway.peers import wait_for
from wire.documents import Block
from wire.events import Denied, Status, UsageSource

PROMPT = "In one sentence: what does an AI gateway do?"
HELLO = [{"role": "user", "content": PROMPT}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def test_a_plain_chat_is_answered_metered_and_receipted(gateway, key, openai_client):
    raw = openai_client(key).chat.completions.with_raw_response.create(
        model="gpt-4o-mini", max_tokens=64, messages=HELLO
    )
    answer = raw.parse()
    assert "SpendOps' sandbox" in answer.choices[0].message.content
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (21, 64)

    event = gateway.one_event(key)
    assert event.units == {"requests": 1, "input": 21, "output": 64}
    assert event.cost == event.charge == "0.000041550000"  # 21 × 150,000 + 64 × 600,000 pico-USD
    assert (event.provider, event.model_asked, event.model_priced) == ("openai", "gpt-4o-mini", "gpt-4o-mini")
    assert (event.status, event.http_status, event.usage_source) == (Status.OK, 200, UsageSource.PROVIDER)
    assert (event.tenant, event.project, event.env) == (key.tenant, "p_test", "dev")
    assert (event.route, event.streamed, event.credential) == ("/v1/chat/completions", False, "sandbox")
    assert (event.price_version, event.service_tier) == (1, "default")
    assert event.duration_ms >= event.ttfb_ms >= 0
    assert raw.headers["x-spendops-event"] == event.event_id
    assert raw.headers["x-spendops-cost"] == event.cost
    assert raw.headers["x-spendops-sandbox"] == "1"
    assert raw.headers["x-request-id"] == event.request_id
    assert event.upstream_request_id.startswith("req_")


def test_a_streamed_chat_reports_no_usage_that_was_not_asked_for(gateway, key, openai_client):
    stream = openai_client(key).chat.completions.create(model="gpt-4o-mini", max_tokens=64, messages=HELLO, stream=True)
    chunks = list(stream)
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    assert "".join(c.choices[0].delta.content or "" for c in chunks).startswith("This is SpendOps' sandbox")
    event = gateway.one_event(key)
    assert event.units == {"requests": 1, "input": 21, "output": 64}
    assert event.cost == "0.000041550000"
    assert event.streamed
    assert event.usage_source is UsageSource.PROVIDER


def test_a_streamed_chat_reports_usage_that_was_asked_for(gateway, key, openai_client):
    stream = openai_client(key).chat.completions.create(
        model="gpt-4o-mini", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    last = list(stream)[-1]
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (21, 64)
    assert gateway.one_event(key).units == {"requests": 1, "input": 21, "output": 64}


def test_reasoning_tokens_are_a_unit_of_their_own(gateway, key, openai_client):
    answer = openai_client(key).responses.create(model="gpt-5", input=PROMPT)
    assert answer.output_text.startswith("This is SpendOps' sandbox")
    assert answer.usage.output_tokens_details.reasoning_tokens == 64
    event = gateway.one_event(key)
    assert event.units == {"requests": 1, "input": 21, "reasoning": 64, "output": 64}
    assert event.cost == "0.001306250000"  # 21 × 1,250,000 + 128 × 10,000,000 pico-USD


def test_a_streamed_response_arrives_event_by_event(gateway, key, openai_client):
    with openai_client(key).responses.stream(model="gpt-4o-mini", input=PROMPT) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") > 10
    assert final.usage.total_tokens == 85
    event = gateway.one_event(key)
    assert event.units == {"requests": 1, "input": 21, "output": 64}
    assert (event.route, event.streamed) == ("/v1/responses", True)


def test_a_response_cut_at_its_limit_is_metered(gateway, key, openai_client):
    stream = openai_client(key).responses.create(model="gpt-4o-mini", input=PROMPT, max_output_tokens=16, stream=True)
    assert [event.type for event in stream][-1] == "response.incomplete"
    assert gateway.one_event(key).units == {"requests": 1, "input": 21, "output": 16}


def test_embeddings(gateway, key, openai_client):
    client = openai_client(key)  # asks for base64, and decodes it
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two words of text"])
    assert [len(item.embedding) for item in answer.data] == [1536, 1536]
    again = client.embeddings.create(model="text-embedding-3-small", input="one", encoding_format="float")
    assert again.data[0].embedding == pytest.approx(answer.data[0].embedding, abs=1e-6)
    small = client.embeddings.create(model="text-embedding-3-small", input="one", dimensions=256)
    assert len(small.data[0].embedding) == 256
    first = gateway.usage(key)[0]
    assert first.units == {"requests": 1, "input": 6}
    assert first.cost == "0.000000120000"


def test_tools_pass_through(gateway, key, openai_client):
    client = openai_client(key)
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, tools=[WEATHER])
    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"sandbox"}')
    assert answer.choices[0].finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    told = [*HELLO, answer.choices[0].message.model_dump(exclude_none=True), result]
    final = client.chat.completions.create(model="gpt-4o-mini", messages=told, tools=[WEATHER])
    assert final.choices[0].finish_reason == "stop"

    pieces = client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, tools=[WEATHER], stream=True)
    deltas = [chunk.choices[0].delta.tool_calls[0] for chunk in pieces if chunk.choices[0].delta.tool_calls]
    assert "".join(delta.function.arguments or "" for delta in deltas) == '{"city":"sandbox"}'
    assert len(gateway.usage(key)) == 3


def test_vision_parts_pass_through(gateway, key, openai_client):
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    answer = openai_client(key).chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": parts}]
    )
    assert answer.usage.prompt_tokens == 14
    assert gateway.one_event(key).units["input"] == 14


def test_the_models_that_a_key_may_use_are_listed(gateway, openai_client):
    everything = gateway.issue()
    names = {model.id for model in openai_client(everything).models.list()}
    assert {"gpt-4o-mini", "claude-sonnet-4-6", "mistral-small-latest", "grok-3-mini"} <= names
    narrow = gateway.issue(allowed_models=("gpt-4o-*", "gpt-5"), denied_models=("*audio*",))
    assert {model.id for model in openai_client(narrow).models.list()} == {"gpt-4o-mini", "gpt-5"}


def test_errors_raise_the_clients_own_types(gateway, openai_client):
    key = gateway.issue(allowed_models=("gpt-4o-mini",))
    client = openai_client(key)

    def ask(using: openai.OpenAI = client, **fields: object) -> object:
        return using.chat.completions.create(**{"model": "gpt-4o-mini", "messages": HELLO} | fields)

    with pytest.raises(openai.AuthenticationError) as unknown:
        ask(openai_client("sk-not-one-of-ours", gateway.url))
    assert unknown.value.code == "key_malformed"
    with pytest.raises(openai.PermissionDeniedError) as forbidden:
        ask(model="gpt-5")
    assert forbidden.value.code == "model_not_allowed"
    with pytest.raises(openai.BadRequestError) as bad:
        ask(model="")
    assert bad.value.code == "body_invalid"
    with pytest.raises(openai.NotFoundError) as nowhere:
        client.files.list()
    assert nowhere.value.code == "route_unknown"

    message = 'Budget "First" used: $0.00012465 of $0.0001. Resets 1 Dec 00:00 Asia/Kolkata.'
    gateway.block_tenant(key.tenant, Block(reason="budget_exhausted", message=message, budget="b_1"))
    wait_for(lambda: key.chat().status_code == 402, "the block")
    before = len(gateway.denials(key))
    patient = client.with_options(max_retries=3)
    with pytest.raises(openai.APIStatusError) as blocked:
        ask(patient)
    assert (blocked.value.status_code, blocked.value.code) == (402, "budget_exhausted")
    assert blocked.value.body["message"] == message
    reasons = [denial.reason for denial in gateway.denials(key)]
    assert reasons[:3] == [Denied.MODEL_NOT_ALLOWED, Denied.BODY_INVALID, Denied.ROUTE_UNKNOWN]
    assert reasons[before:] == [Denied.BUDGET_EXHAUSTED]  # once: the client did not try again


def test_a_providers_error_comes_through_and_costs_nothing(gateway, key, openai_client):
    client = openai_client(key, default_headers={"x-sandbox-fault": "status=429"})
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    event = gateway.one_event(key)
    assert (event.status, event.http_status, event.units) == (Status.ERROR, 429, {})
    assert event.cost == "0.000000000000"


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_stream_that_breaks_off_raises(gateway, key, openai_client, api):
    client = openai_client(key, default_headers={"x-sandbox-fault": "cut-after=9"})
    if api == "chat":
        stream = client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, stream=True)
    else:
        stream = client.responses.create(model="gpt-4o-mini", input=PROMPT, stream=True)
    with pytest.raises(openai.APIError, match="broke off"):
        list(stream)
    event = gateway.one_event(key)
    assert (event.status, event.usage_source) == (Status.INTERRUPTED, UsageSource.ESTIMATED)
    assert 0 < event.units["output"] <= 9
    assert event.units["input"] == 11  # 44 bytes of text
