"""Limits of keys: exact to the call, whatever happens at once, and free again however a call ends."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limits import UNLIMITED, KeyLimits, Slot, duration
from gateway.rules import Refusal
from tests.gateway.peers import IssuedKey, wait_for
from wire.documents import KeyPolicy
from wire.events import Denied, Status

STEP = 100  # ms: how exactly time is known
MINUTE = 60_000


class Hand:
    """A clock that is moved by hand, in milliseconds."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms * 1_000_000


def policy(**limits: int) -> KeyPolicy:
    return KeyPolicy(rev=1, env="dev", tenant="t_abc123", project="p", key="k", **limits)


def used(tokens: int) -> dict[str, int]:
    """The units of a call that used so many tokens, half of them read from a cache."""
    return {"requests": 1, "cache_read": tokens // 2, "output": tokens - tokens // 2}


class Counter:
    """One key's limits under a clock that is moved by hand."""

    def __init__(self, **limits: int) -> None:
        self.clock = Hand()
        self.limits = KeyLimits(self.clock)
        self.policy = policy(**limits)

    def take(self, tokens: int = 0) -> Slot | Refusal:
        return self.limits.take(self.policy, lambda: tokens)

    def taken(self, tokens: int = 0) -> Slot:
        slot = self.take(tokens)
        assert not isinstance(slot, Refusal), slot.message
        return slot

    def refused(self, tokens: int = 0) -> Refusal:
        refusal = self.take(tokens)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Denied.RATE_LIMITED
        return refusal

    def header(self, name: str) -> str:
        return dict(self.limits.headers(self.policy))[f"x-ratelimit-{name}".encode()].decode()


def test_requests_a_minute():
    counter = Counter(rpm=3)
    for _ in range(3):
        counter.taken().end(used(5))
        counter.clock.ms += 10_000
    refusal = counter.refused()
    assert refusal.message == "This API key's limit of 3 requests a minute is reached. Try again in 30.1s."
    assert refusal.retry_after == 30_100
    counter.clock.ms += 30_000
    counter.refused()  # a minute and not a millisecond less
    counter.clock.ms += STEP
    counter.taken()
    assert counter.refused().retry_after == 10_000
    counter.clock.ms += 2 * MINUTE
    assert [isinstance(counter.take(), Refusal) for _ in range(4)] == [False, False, False, True]


def test_a_call_that_is_refused_uses_nothing_up():
    counter = Counter(rpm=1, tpm=100, concurrency=1)
    first = counter.taken(10)
    for _ in range(50):
        counter.refused(10)
    first.end(used(10))
    counter.clock.ms += MINUTE + STEP
    counter.taken(10)


def test_tokens_are_counted_when_they_are_known_and_expected_until_then():
    counter = Counter(tpm=1000)
    first, second = counter.taken(400), counter.taken(600)
    assert (counter.header("remaining-tokens"), counter.header("limit-tokens")) == ("0", "1000")
    assert counter.refused(1).retry_after == 1000  # whatever is under way may end at any time
    first.end(used(100))
    assert counter.header("remaining-tokens") == "300"
    counter.refused(301)
    third = counter.taken(300)
    second.end(used(900))  # more than it was expected to use
    third.end(used(0))
    assert counter.header("remaining-tokens") == "0"
    refusal = counter.refused(0)
    assert refusal.message == "This API key's limit of 1,000 tokens a minute is reached. Try again in 1m0.1s."
    counter.clock.ms += MINUTE + STEP
    assert counter.header("remaining-tokens") == "1000"


def test_a_call_larger_than_the_limit_of_tokens_is_let_in_when_nothing_else_was_used():
    counter = Counter(tpm=1000)
    counter.taken(50_000).end(used(50_000))
    counter.refused(1)
    counter.clock.ms += MINUTE + STEP
    counter.taken(50_000)
    counter.refused(1)


def test_tokens_come_free_as_their_minute_passes():
    counter = Counter(tpm=1000)
    counter.taken(1).end(used(400))
    counter.clock.ms += 20_000
    counter.taken(1).end(used(600))
    assert counter.refused(300).retry_after == 40_100
    assert counter.refused(500).retry_after == 60_100
    assert counter.header("reset-tokens") == "1m0.1s"
    counter.clock.ms += 40_000 + STEP
    counter.taken(400)


def test_calls_at_once():
    counter = Counter(concurrency=2)
    first, _ = counter.taken(), counter.taken()
    refusal = counter.refused()
    assert refusal.message.startswith("This API key may make 2 calls at once")
    assert refusal.retry_after == 1000
    first.end(used(10))
    first.end(used(10))  # saying it twice frees no second place
    third = counter.taken()
    counter.refused()
    third.end(used(0))


def test_a_limit_that_is_changed_holds_at_once_for_what_was_used_before():
    counter = Counter(rpm=5)
    for _ in range(4):
        counter.taken()
    counter.policy = policy(rpm=3)
    counter.refused()
    counter.policy = policy(rpm=6)
    assert [isinstance(counter.take(), Refusal) for _ in range(3)] == [False, False, True]


def test_a_key_without_limits_is_not_counted_and_idle_ones_are_forgotten():
    counter = Counter()
    assert counter.take(10) is UNLIMITED
    assert counter.limits.headers(counter.policy) == []
    for number in range(5000):
        named = KeyPolicy(rev=1, env="dev", tenant="t", project="p", key=f"k{number}", rpm=1)
        counter.limits.take(named, lambda: 0).end(used(0))
        counter.clock.ms += 50
    assert len(counter.limits) < 3000


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0s"), (100, "0.1s"), (6500, "6.5s"), (60_000, "1m0s"), (60_100, "1m0.1s")]
)
def test_durations_are_written_as_openai_writes_them(ms, text):
    assert duration(ms) == text


class Step(NamedTuple):
    wait: int
    expected: int
    actual: int
    end: bool


STEPS = st.lists(
    st.builds(Step, st.integers(0, 9000), st.integers(0, 60), st.integers(0, 80), st.booleans()), max_size=80
)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 100), st.integers(1, 4), STEPS)
def test_no_minute_sees_more_than_the_limits_allow(rpm, tpm, concurrency, steps):
    """Against a plain model that remembers every call."""
    counter = Counter(rpm=rpm, tpm=tpm, concurrency=concurrency)
    began: list[int] = []
    spent: list[tuple[int, int]] = []
    running: list[tuple[Slot, int, int]] = []
    for wait, expected, actual, end in steps:
        counter.clock.ms += wait
        now = counter.clock.ms
        slot = counter.take(expected)
        in_requests = sum(at > now - MINUTE for at in began)
        in_tokens = sum(count for at, count in spent if at > now - MINUTE)
        held = sum(min(expected, tpm) for _, expected, _ in running)
        if isinstance(slot, Refusal):
            # Refused for a reason only; what was used comes free up to a step late.
            late_requests = sum(at > now - MINUTE - 2 * STEP for at in began)
            late_tokens = sum(count for at, count in spent if at > now - MINUTE - 2 * STEP)
            assert (
                len(running) >= concurrency
                or late_requests >= rpm
                or late_tokens >= tpm
                or late_tokens + held + min(expected, tpm) > tpm
            )
            assert slot.retry_after > 0
        else:
            assert in_requests < rpm
            assert len(running) < concurrency
            assert in_tokens + held + min(expected, tpm) <= tpm
            began.append(now)
            running.append((slot, expected, actual))
        if end and running:
            slot, _, count = running.pop(0)
            slot.end(used(count))
            spent.append((now, count))


# -- at a gateway -----------------------------------------------------------------------------------------------------


def at_once(key: IssuedKey, calls: int, **fields: object) -> list[int]:
    with ThreadPoolExecutor(calls) as pool:
        return sorted(answer.status_code for answer in pool.map(lambda _: key.chat(**fields), range(calls)))


def test_of_many_calls_at_once_exactly_as_many_pass_as_may(gateway):
    key = gateway.issue(rpm=7)
    assert at_once(key, 24) == [200] * 7 + [429] * 17
    assert len(gateway.denials(key)) == 17
    answer = key.chat()
    assert answer.json()["error"]["code"] == answer.headers["x-spendops-reason"] == "rate_limited"
    assert answer.json()["error"]["message"].startswith("This API key's limit of 7 requests a minute is reached.")
    assert 50 <= int(answer.headers["retry-after"]) <= 61
    assert int(answer.headers["retry-after"]) == -(-int(answer.headers["retry-after-ms"]) // 1000)
    assert answer.headers["x-ratelimit-limit-requests"] == "7"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    key.publish(rpm=9)
    wait_for(lambda: key.chat().status_code == 200, "the higher limit")


def test_answers_say_what_is_left(gateway):
    key = gateway.issue(rpm=10, tpm=100_000)
    first, second = key.chat(), key.chat(stream=True)
    assert [each.headers["x-ratelimit-remaining-requests"] for each in (first, second)] == ["9", "8"]
    assert first.headers["x-ratelimit-limit-tokens"] == "100000"
    gone = 100_000 - int(first.headers["x-ratelimit-remaining-tokens"])
    wait_for(lambda: len(gateway.usage(key)) == 2, "both events")
    assert gone == sum(count for name, count in gateway.usage(key)[0].units.items() if name != "requests")
    assert first.headers["x-ratelimit-reset-requests"].startswith(("1m0", "59."))
    plain = gateway.issue().chat()
    assert not [name for name in plain.headers if name.startswith("x-ratelimit-")]


def test_tokens_a_minute(gateway):
    key = gateway.issue(tpm=150)
    assert key.chat(max_tokens=100_000).status_code == 200  # larger than the limit, and the first
    wait_for(lambda: gateway.usage(key), "its event")
    refused = key.chat(text="x" * 600)
    assert (refused.status_code, "150 tokens a minute" in refused.json()["error"]["message"]) == (429, True)
    assert int(refused.headers["x-ratelimit-remaining-tokens"]) > 0  # only, not enough for this one
    assert key.chat(text="y").status_code == 200


ENDINGS = {
    "a plain answer": {},
    "an error of the provider": {"status": 500},
    "a broken plain answer": {"cut": True},
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_place_is_free_again_however_a_call_ends(replayed, provider, ending):
    key = replayed.issue(concurrency=1)
    for _ in range(3):
        provider.answers({"model": "gpt-4o-mini", "usage": {"prompt_tokens": 3}}, **ENDINGS[ending])
        assert key.chat().status_code != 429


def test_a_place_is_free_again_after_streams_that_end_well_or_break_off(replayed, provider):
    key = replayed.issue(concurrency=1)
    chunk = {"choices": [{"index": 0, "delta": {"content": "x"}}]}
    for options in ({}, {"end": b"", "cut": True}, {"end": b""}, {}):
        provider.streams(chunk, **options)
        assert key.chat(stream=True).status_code == 200


def test_a_place_is_taken_while_a_call_is_under_way_and_free_when_its_caller_leaves(replayed, provider):
    key = replayed.issue(concurrency=1)
    gate = threading.Event()
    provider.answers({"model": "gpt-4o-mini"}, gate=gate)
    with ThreadPoolExecutor(1) as pool:
        leaving = pool.submit(_leave, key)
        wait_for(lambda: provider.seen, "the call at the provider")
        refused = key.chat()
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "1 call at once" in refused.json()["error"]["message"]
        leaving.result()
    wait_for(lambda: [event.status for event in replayed.usage(key)] == [Status.CANCELLED], "the cancelled call")
    gate.set()
    provider.answers({"model": "gpt-4o-mini", "usage": {"prompt_tokens": 3}})
    assert key.chat().status_code == 200


def _leave(key: IssuedKey) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{key.gateway.url}/v1/chat/completions",
            json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]},
            headers={"authorization": f"Bearer {key.text}"},
            timeout=1,
        )


def test_a_call_that_is_refused_for_another_reason_uses_up_no_limit(gateway):
    key = gateway.issue(rpm=1, denied_models=("gpt-5",))
    for _ in range(3):
        assert key.chat(model="gpt-5").status_code == 403
        assert key.post("/v1/chat/completions", b"{}").status_code == 400
    assert key.chat().status_code == 200
    assert key.chat().status_code == 429


def test_the_providers_own_limits_do_not_show_through_those_of_a_key(replayed, provider):
    provider.answers({"model": "gpt-4o-mini"}, headers={"x-ratelimit-limit-requests": "10000"})
    assert replayed.issue().chat().headers["x-ratelimit-limit-requests"] == "10000"
    assert replayed.issue(rpm=5).chat().headers["x-ratelimit-limit-requests"] == "5"
    assert "x-ratelimit-limit-requests" not in replayed.issue(tpm=5).chat().headers
