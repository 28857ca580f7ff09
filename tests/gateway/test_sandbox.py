"""The sandbox by itself: deterministic, believable, and failing on request."""

from __future__ import annotations

import httpx
import pytest

from gateway.sandbox.faults import Faults


@pytest.fixture
def ask(sandbox_port):
    with httpx.Client(base_url=f"http://127.0.0.1:{sandbox_port}/v1", timeout=20) as client:
        yield client.post


CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}


def test_the_same_question_has_the_same_answer(ask):
    first, second = (ask("/chat/completions", json=CHAT).json() for _ in range(2))
    assert first | {"created": 0} == second | {"created": 0}
    assert first["usage"] == {
        "prompt_tokens": 12, "completion_tokens": 64, "total_tokens": 76,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }  # fmt: skip


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_the_limit_is_kept(ask, limit):
    answer = ask("/chat/completions", json=CHAT | {limit: 5}).json()
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["choices"][0]["finish_reason"] == "length"
    thinking = ask("/chat/completions", json=CHAT | {"model": "o3", limit: 10}).json()
    assert thinking["usage"]["completion_tokens"] == 10


def test_longer_questions_have_longer_answers(ask):
    long = ask("/chat/completions", json=CHAT | {"messages": [{"role": "user", "content": "word " * 2000}]}).json()
    assert long["usage"]["prompt_tokens"] == 2510
    assert 300 < long["usage"]["completion_tokens"] < 500


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", {"model": "m"}),
        ("/chat/completions", CHAT | {"max_tokens": 0}),
        ("/chat/completions", CHAT | {"tools": "all"}),
        ("/responses", {"model": "m"}),
        ("/embeddings", {"model": "m", "input": []}),
        ("/embeddings", {"model": "m", "input": "x", "dimensions": 0}),
        ("/messages", {"model": "m", "messages": CHAT["messages"]}),
        ("/messages", {"messages": CHAT["messages"], "max_tokens": 5}),
    ],
)
def test_what_a_real_provider_would_refuse(ask, path, body):
    answer = ask(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert ("type" in answer.json()) == (path == "/messages")


def test_faults(ask):
    def fail(fault: str, **fields: object) -> httpx.Response:
        return ask("/chat/completions", json=CHAT | fields, headers={"x-sandbox-fault": fault})

    assert fail("status=503").status_code == 503
    assert "usage" not in fail("no-usage").json()
    assert b'"usage":{' not in fail("no-usage", stream=True, stream_options={"include_usage": True}).content
    with pytest.raises(httpx.RemoteProtocolError):
        fail("cut-after=0")
    with pytest.raises(httpx.RemoteProtocolError):
        fail("cut-after=3", stream=True)
    assert fail("make-coffee").status_code == 400
    assert fail("delay=999").status_code == 400


def test_faults_are_read_as_documented():
    assert Faults.parse("delay=0.5, cut-after=3") == Faults(delay=0.5, cut_after=3)
    assert Faults.parse("") == Faults()
    with pytest.raises(ValueError, match="'status=200' is not a fault"):
        Faults.parse("status=200")


def test_embeddings_of_token_numbers(ask):
    answer = ask("/embeddings", json={"model": "text-embedding-3-large", "input": [[1, 2, 3], [4]]}).json()
    assert [len(item["embedding"]) for item in answer["data"]] == [3072, 3072]
    assert answer["usage"]["prompt_tokens"] == 4
    length = sum(value * value for value in answer["data"][0]["embedding"])
    assert length == pytest.approx(1.0)


def test_the_sandbox_lists_models_and_knows_nothing_else(sandbox_port):
    base = f"http://127.0.0.1:{sandbox_port}"
    assert "gpt-4o-mini" in {model["id"] for model in httpx.get(f"{base}/v1/models").json()["data"]}
    assert httpx.get(f"{base}/v1/files").status_code == 404
