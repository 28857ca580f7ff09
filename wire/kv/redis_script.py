"""The one call that writes into Redis: all decisions are made inside the server, where nobody can come between."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import redis

from wire.kv.base import Outcome, Write, digest_of

WRITES_MOST = 1000  # of one call: Redis does nothing else meanwhile, some 10 ms
CALL_LARGEST = 2**20  # bytes of one call, unless a single document is larger
AT_ONCE = 8  # calls that are sent before their answers are read

# KEYS: seq, changes, keys, epoch, run, and then one document each write.
# ARGV: "write" or "add", the channel, what stands before a document's key, a random id, and then rev, digest and body
# of each write. A deletion has no digest.
#
# The rev decides, so a document's hash is set last: a call that is refused half-way, as for a missing permission, then
# repeats all of it. Revs are compared as texts of digits, because Lua's numbers are exact up to 2^53 only. The
# sequence is a score, which has the same limit: at a million writes a second it is reached after 285 years.
#
# A server that was restarted, or a replica that was promoted, may have lost its last writes: the first write after
# that begins a new epoch, so that readers read everything again instead of trusting their mark.
SOURCE = """
local seq, changes, keys, epoch, run = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local adding, channel, before, fresh = ARGV[1] == 'add', ARGV[2], ARGV[3], ARGV[4]
local outcomes, begun = {}, false

local function newer(one, other)
  if #one ~= #other then return #one > #other end
  return one > other
end

local function begin()
  redis.call('PUBLISH', channel, '')
  local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
  local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or ''
  local now = server .. ':' .. history
  if redis.call('GET', run) ~= now or redis.call('EXISTS', epoch) == 0 then
    redis.call('SET', epoch, fresh)
    redis.call('SET', run, now)
  end
  begun = true
end

for i = 6, #KEYS do
  local document = KEYS[i]
  local first = 5 + (i - 6) * 3
  local rev, digest, body = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  local held = redis.call('HMGET', document, 'rev', 'digest')
  if held[1] and (adding or not newer(rev, held[1])) then
    outcomes[#outcomes + 1] = (held[1] == rev and held[2] == digest) and 1 or 2
  else
    if not begun then begin() end
    local key = string.sub(document, #before + 1)
    local number = redis.call('INCR', seq)
    redis.call('ZADD', changes, number, key)
    redis.call('ZADD', keys, 0, key)
    redis.call('HSET', document, 'rev', rev, 'digest', digest, 'body', body, 'seq', number)
    outcomes[#outcomes + 1] = 0
  end
end
return outcomes
"""

SHA = hashlib.sha1(SOURCE.encode(), usedforsecurity=False).hexdigest()  # how Redis names a script
_OUTCOMES = (Outcome.APPLIED, Outcome.REPEATED, Outcome.STALE)


class Writer:
    """Calls the script for one namespace. Raises what the client raises."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._fixed = [f"{{{namespace}}}:{name}" for name in ("seq", "changes", "keys", "epoch", "run")]
        self._channel = f"{{{namespace}}}:changed"
        self._before = f"{{{namespace}}}:doc:"

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """What became of each write. What one call did is not undone when a later one fails."""
        outcomes: list[Outcome] = []
        calls = list(_calls(writes))
        for start in range(0, len(calls), AT_ONCE):
            for answer in self._run("write", calls[start : start + AT_ONCE]):
                outcomes += [_OUTCOMES[number] for number in answer]
        return outcomes

    def add(self, write: Write) -> bool:
        """Whether the key was free."""
        ((number,),) = self._run("add", [[write]])
        return _OUTCOMES[number] is Outcome.APPLIED

    def _run(self, mode: str, calls: Sequence[Sequence[Write]]) -> list[Any]:
        asked = [self._arguments(mode, call) for call in calls]
        answers = self._send(asked)
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, redis.exceptions.NoScriptError)]
        if unknown:
            self._client.script_load(SOURCE)
            for i, answer in zip(unknown, self._send([asked[i] for i in unknown]), strict=True):
                answers[i] = answer
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _send(self, calls: Sequence[tuple[int, list[Any]]]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for count, arguments in calls:
            pipeline.evalsha(SHA, count, *arguments)
        return pipeline.execute(raise_on_error=False)

    def _arguments(self, mode: str, writes: Sequence[Write]) -> tuple[int, list[Any]]:
        """How many keys a call has; its keys and what else it is given."""
        keys: list[Any] = [*self._fixed, *(self._before + write.key for write in writes)]
        given: list[Any] = [mode, self._channel, self._before, secrets.token_hex(8)]
        for write in writes:
            given += [str(write.rev), digest_of(write.body), write.body or b""]
        return len(keys), keys + given


def _calls(writes: Sequence[Write]) -> Iterator[list[Write]]:
    """The writes in their order, as few calls as the limits allow."""
    call: list[Write] = []
    size = 0
    for write in writes:
        length = len(write.body or b"")
        if call and (len(call) == WRITES_MOST or size + length > CALL_LARGEST):
            yield call
            call, size = [], 0
        call.append(write)
        size += length
    if call:
        yield call
