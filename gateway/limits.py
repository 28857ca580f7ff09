"""Limits of a key: requests a minute, tokens a minute, calls at once.

Counted in this process alone, in whole numbers, without waiting for anybody: two gateways of one environment allow
twice as much. Whoever shares the counters one day writes another `Limiter`.

A minute is any sixty seconds, not the one on the wall: no sixty seconds see more requests than the limit. Tokens are
known when a call is over; until then it holds what it is expected to use. Time goes in steps of a tenth of a second, so
that a window has some 600 parts at most; what was used comes free one step late at most.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from gateway.receipts import Headers
from gateway.rules import Refusal
from wire.documents import KeyPolicy
from wire.events import Denied
from wire.units import input_tokens, output_tokens

_STEP_MS = 100
_WINDOW_MS = 60_000
_STEPS = _WINDOW_MS // _STEP_MS + 1  # the step that is under way may have begun anywhere in its tenth of a second
_RETRY_MS = 1000  # when a call that is under way must end first, nobody knows when that will be
_SWEEP_LEAST = 1000  # keys


class Slot(Protocol):
    """One call's share of its key's limits."""

    def end(self, units: dict[str, int]) -> None:
        """The call is over and used these units. Only the first word counts."""


class Limiter(Protocol):
    """Counts what keys use."""

    def take(self, policy: KeyPolicy, tokens: Callable[[], int]) -> Slot | Refusal:
        """Admit a call that is expected to use so many tokens, or say which limit is reached.

        `tokens` is asked only when the key has a limit on them. End the slot however the call ends.
        """

    def headers(self, policy: KeyPolicy) -> Headers:
        """A key's limits and what is left of them now, under OpenAI's names; nothing for a key without limits."""


class Unlimited:
    """The slot of a key without limits."""

    def end(self, units: dict[str, int]) -> None:
        """Nothing was taken."""


UNLIMITED = Unlimited()


class _Window:
    """How much was used in the last minute."""

    __slots__ = ("_parts", "_total")

    def __init__(self) -> None:
        self._parts: deque[tuple[int, int]] = deque()  # step and amount
        self._total = 0

    def total(self, step: int) -> int:
        parts = self._parts
        while parts and parts[0][0] <= step - _STEPS:
            self._total -= parts.popleft()[1]
        return self._total

    def add(self, step: int, amount: int) -> None:
        if amount <= 0:
            return
        if self._parts and self._parts[-1][0] >= step:
            last, held = self._parts.pop()
            self._parts.append((last, held + amount))
        else:
            self._parts.append((step, amount))
        self._total += amount

    def room_in(self, step: int, excess: int) -> int:
        """Steps until at least `excess` of what was used has left the window; 0 when that never suffices."""
        for at, amount in self._parts:
            excess -= amount
            if excess <= 0:
                return max(at + _STEPS - step, 1)
        return 0

    def empty_in(self, step: int) -> int:
        """Steps until nothing is left in it."""
        return max(self._parts[-1][0] + _STEPS - step, 0) if self._parts else 0


class _Key:
    """What one key uses."""

    __slots__ = ("held", "requests", "running", "tokens")

    def __init__(self) -> None:
        self.requests = _Window()
        self.tokens = _Window()
        self.held = 0  # tokens that calls under way are expected to use
        self.running = 0

    def idle(self, step: int) -> bool:
        return not (self.running or self.requests.total(step) or self.tokens.total(step))


_UNUSED = _Key()


class _Taken:
    """The slot of a key with limits."""

    __slots__ = ("_expected", "_key", "_limits", "_over", "_policy")

    def __init__(self, limits: KeyLimits, key: _Key, policy: KeyPolicy, expected: int) -> None:
        self._limits = limits
        self._key = key
        self._policy = policy
        self._expected = expected
        self._over = False

    def end(self, units: dict[str, int]) -> None:
        if self._over:
            return
        self._over = True
        self._key.running -= 1
        self._key.held -= self._expected
        if self._policy.tpm:
            self._key.tokens.add(self._limits.step(), input_tokens(units) + output_tokens(units))


class KeyLimits:
    """The limits of all keys that call this process. Used on the event loop only."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._keys: dict[str, _Key] = {}
        self._sweep_at = _SWEEP_LEAST

    def take(self, policy: KeyPolicy, tokens: Callable[[], int]) -> Slot | Refusal:
        if not (policy.rpm or policy.tpm or policy.concurrency):
            return UNLIMITED
        step = self.step()
        key = self._keys.get(policy.key) or self._new(policy.key, step)
        if policy.concurrency and key.running >= policy.concurrency:
            return Refusal(Denied.RATE_LIMITED, _at_once(policy.concurrency), _RETRY_MS)
        if policy.rpm and (excess := key.requests.total(step) + 1 - policy.rpm) > 0:
            return _exceeded(policy.rpm, "requests", key.requests.room_in(step, excess))
        expected = 0
        if policy.tpm:
            # A call that is larger than the limit itself is let in when nothing else was used: it must be able to run.
            expected = min(tokens(), policy.tpm)
            used = key.tokens.total(step)
            if (excess := used + key.held + expected - policy.tpm) > 0 or used >= policy.tpm:
                return _exceeded(policy.tpm, "tokens", key.tokens.room_in(step, max(excess, 1)))
        key.running += 1
        key.held += expected
        if policy.rpm:
            key.requests.add(step, 1)
        return _Taken(self, key, policy, expected)

    def headers(self, policy: KeyPolicy) -> Headers:
        if not (policy.rpm or policy.tpm):
            return []
        key, step = self._keys.get(policy.key, _UNUSED), self.step()
        found: Headers = []
        if policy.rpm:
            left = policy.rpm - key.requests.total(step)
            found += _left(b"requests", policy.rpm, left, key.requests.empty_in(step))
        if policy.tpm:
            left = policy.tpm - key.tokens.total(step) - key.held
            found += _left(b"tokens", policy.tpm, left, _STEPS if key.held else key.tokens.empty_in(step))
        return found

    def step(self) -> int:
        """The present tenth of a second."""
        return self._clock() // (_STEP_MS * 1_000_000)

    def __len__(self) -> int:
        return len(self._keys)

    def _new(self, name: str, step: int) -> _Key:
        if len(self._keys) >= self._sweep_at:
            self._keys = {name: key for name, key in self._keys.items() if not key.idle(step)}
            self._sweep_at = max(2 * len(self._keys), _SWEEP_LEAST)
        return self._keys.setdefault(name, _Key())


def duration(ms: int) -> str:
    """A duration as OpenAI writes it in `x-ratelimit-reset-*`: `1m0.1s`, `6.5s`, `0s`."""
    minutes, rest = divmod(ms, 60_000)
    seconds = f"{rest // 1000}.{rest % 1000 // 100}".removesuffix(".0") + "s"
    return f"{minutes}m{seconds}" if minutes else seconds


def _left(kind: bytes, limit: int, left: int, steps: int) -> Headers:
    return [
        (b"x-ratelimit-limit-" + kind, b"%d" % limit),
        (b"x-ratelimit-remaining-" + kind, b"%d" % max(left, 0)),
        (b"x-ratelimit-reset-" + kind, duration(steps * _STEP_MS).encode()),
    ]


def _exceeded(limit: int, what: str, steps: int) -> Refusal:
    wait = steps * _STEP_MS or _RETRY_MS
    message = f"This API key's limit of {limit:,} {what} a minute is reached. Try again in {duration(wait)}."
    return Refusal(Denied.RATE_LIMITED, message, wait)


def _at_once(limit: int) -> str:
    calls = "1 call" if limit == 1 else f"{limit:,} calls"
    return f"This API key may make {calls} at once, and as many are under way. Try again when one has ended."
