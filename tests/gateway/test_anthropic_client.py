"""The official anthropic client, unchanged, against the gateway before the sandbox."""

from __future__ import annotations

import anthropic
import pytest

from tests.gateway.peers import wait_for
from wire.documents import Block
from wire.events import Status, UsageSource

PROMPT = "In one sentence: what does an AI gateway do?"
HELLO = [{"role": "user", "content": PROMPT}]
ASK = {"model": "claude-sonnet-4-6", "max_tokens": 64, "messages": HELLO}
WEATHER = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def test_a_plain_message_is_answered_and_metered(gateway, key, anthropic_client):
    raw = anthropic_client(key).messages.with_raw_response.create(**ASK, metadata={"user_id": "u-7"})
    message = raw.parse()
    assert message.content[0].text.startswith("This is SpendOps' sandbox")
    event = gateway.one_event(key)
    assert event.units == {"requests": 1, "input": 21, "output": 64}
    assert event.cost == "0.001023000000"  # 21 × 3,000,000 + 64 × 15,000,000 pico-USD
    assert (event.provider, event.route, event.end_user) == ("anthropic", "/v1/messages", "u-7")
    assert raw.headers["x-spendops-cost"] == event.cost
    assert event.upstream_request_id == message._request_id


def test_a_streamed_message(gateway, key, anthropic_client):
    with anthropic_client(key).messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text.startswith("This is SpendOps' sandbox")
    assert (final.usage.input_tokens, final.usage.output_tokens, final.stop_reason) == (21, 64, "end_turn")
    event = gateway.one_event(key)
    assert event.units == {"requests": 1, "input": 21, "output": 64}
    assert (event.streamed, event.status) == (True, Status.OK)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_cached_prompt_is_written_once_and_read_after(gateway, key, anthropic_client, streamed):
    client = anthropic_client(key)
    long = f"Rules of {key.id}: " + "Answer in one sentence. " * 20
    hour = f"Facts of {key.id}: " + "Water is wet. " * 30
    system = [
        {"type": "text", "text": hour, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": long, "cache_control": {"type": "ephemeral"}},
    ]
    for _ in range(2):
        if streamed:
            with client.messages.stream(**ASK, system=system) as stream:
                stream.until_done()
        else:
            client.messages.create(**ASK, system=system)
    written, read = gateway.usage(key)
    one_hour, five_minutes = -(-len(hour) // 4), -(-len(long) // 4)
    assert written.units == {
        "requests": 1, "input": 21, "cache_write_1h": one_hour, "cache_write_5m": five_minutes, "output": 64
    }  # fmt: skip
    expected = 21 * 3_000_000 + one_hour * 6_000_000 + five_minutes * 3_750_000 + 64 * 15_000_000
    assert written.cost == f"0.{expected:012d}"
    assert read.units == {"requests": 1, "input": 21, "cache_read": one_hour + five_minutes, "output": 64}


def test_tools_pass_through(gateway, key, anthropic_client):
    client = anthropic_client(key)
    asked = client.messages.create(**ASK, tools=[WEATHER])
    (call,) = asked.content
    assert (call.type, call.name, call.input) == ("tool_use", "weather", {"city": "sandbox"})
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"}]}
    told = [*HELLO, {"role": "assistant", "content": [call.model_dump(exclude_none=True)]}, result]
    final = client.messages.create(model="claude-sonnet-4-6", max_tokens=64, messages=told, tools=[WEATHER])
    assert final.content[0].type == "text"
    with client.messages.stream(**ASK, tools=[WEATHER]) as stream:
        assert stream.get_final_message().content[0].input == {"city": "sandbox"}


def test_the_models_of_anthropic_are_listed_in_its_shape(gateway, anthropic_client):
    key = gateway.issue(allowed_providers=("anthropic", "openai"))
    page = anthropic_client(key).models.list()
    assert [model.id for model in page] == ["claude-sonnet-4-6"]


def test_errors_raise_the_clients_own_types(gateway, anthropic_client):
    key = gateway.issue(denied_models=("claude-opus*",))
    client = anthropic_client(key)
    with pytest.raises(anthropic.PermissionDeniedError) as forbidden:
        client.messages.create(**ASK | {"model": "claude-opus-4-1"})
    assert forbidden.value.body["error"]["type"] == "permission_error"
    assert forbidden.value.response.headers["x-spendops-reason"] == "model_not_allowed"
    with pytest.raises(anthropic.NotFoundError):
        client.beta.files.list()
    key.publish(block=Block(reason="budget_exhausted", message="Budget used."))
    wait_for(lambda: key.chat().status_code == 402, "the block")
    with pytest.raises(anthropic.APIStatusError, match="Budget used") as blocked:
        client.with_options(max_retries=3).messages.create(**ASK)
    assert blocked.value.status_code == 402
    assert blocked.value.body["error"]["type"] == "billing_error"
    key.revoke()
    wait_for(lambda: key.chat().status_code == 401, "the revocation")
    with pytest.raises(anthropic.AuthenticationError, match="revoked"):
        client.messages.create(**ASK)


def test_a_stream_that_breaks_off_raises_and_its_input_is_exact(gateway, key, anthropic_client):
    client = anthropic_client(key, default_headers={"x-sandbox-fault": "cut-after=13"})
    with pytest.raises(anthropic.APIStatusError, match="broke off"), client.messages.stream(**ASK) as stream:
        stream.until_done()
    event = gateway.one_event(key)
    assert (event.status, event.usage_source) == (Status.INTERRUPTED, UsageSource.ESTIMATED)
    assert event.units == {"requests": 1, "input": 21, "output": 10}  # ten tokens had come


def test_a_model_of_anthropic_is_reached_on_openais_route(gateway, key, openai_client):
    answer = openai_client(key).chat.completions.create(model="claude-sonnet-4-6", messages=HELLO)
    assert answer.model == "claude-sonnet-4-6"
    event = gateway.one_event(key)
    assert (event.provider, event.model_priced, event.cost) == ("anthropic", "claude-sonnet-4-6", "0.001023000000")
