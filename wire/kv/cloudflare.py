"""Cloudflare Workers KV over its REST API: where Workers at the edge read policy and prices. Our gateway never does.

Writes are seen everywhere within about a minute. There is no compare-and-set: whoever writes last wins, whatever its
rev, and reconciling repairs what a straggler did. A deletion is not remembered.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from wire.kv.base import (
    DocumentRefusedError,
    Entry,
    Outcome,
    Page,
    StoreRefusedError,
    StoreUnavailableError,
    Write,
    digest_of,
)
from wire.kv.cloudflare_errors import Asked, problem_of
from wire.kv.pace import Pace

# Cloudflare's limits
KEY_LONGEST = 512  # bytes
BODY_LARGEST = 25 * 2**20
PAIRS_MOST = 10_000  # of one bulk call
BULK_LARGEST = 95 * 10**6  # bytes; Cloudflare refuses 100 MB
READ_MOST = 100  # keys of one bulk read
LIST_FEWEST, LIST_MOST = 10, 1000
SHORTEST_LIFE = 60  # seconds

# 1,200 calls in five minutes; the one after that blocks the whole account for as long. The dashboard and other
# programs of the same account count too, so not all of them are ours.
CALLS_MOST, CALLS_SECONDS = 1_100, 300.0

# A call of that many bytes takes seconds, after which servers like to close its connection: nothing else is sent on it.
LARGE = 2**18

TIMEOUT = httpx.Timeout(connect=5.0, write=30.0, read=60.0, pool=5.0)  # ten thousand pairs take their time

# What stands under a key that was written without our metadata. No document has this digest.
UNKNOWN_DIGEST = "unknown"

_paces: dict[bytes, Pace] = {}
_paces_lock = Lock()


class _Metadata(msgspec.Struct):
    """What is kept beside a document so that a listing tells it: about 110 bytes of the 1,024 there are."""

    rev: int
    digest: str


class CloudflareKV:
    """One namespace. `address` is that of the namespace, `…/accounts/A/storage/kv/namespaces/N`."""

    def __init__(self, address: str, *, token: str, timeout: httpx.Timeout = TIMEOUT, pace: Pace | None = None) -> None:
        """The pace is that of all namespaces which this process reaches with the same token, unless one is given.
        Raises StoreRefusedError for a token that cannot be one.
        """
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise StoreRefusedError("SPENDOPS_CLOUDFLARE_API_TOKEN holds a space, a line break or worse: copy it anew.")
        self._asked = Asked(address.rpartition("/")[2], token)
        self._pace = pace or _pace_of(token)
        self._http = httpx.Client(
            base_url=address,
            headers={"authorization": f"Bearer {token}", "accept-encoding": "gzip"},
            timeout=timeout,
            transport=httpx.HTTPTransport(retries=0),
            follow_redirects=False,
        )

    def get(self, key: str) -> bytes | None:
        if _no_key(key):
            return None
        response = self._call("GET", f"/values/{_encoded(key)}", absent_is_fine=True)
        return None if response is None else response.content

    def entry(self, key: str) -> Entry | None:
        """The body with its rev, and the digest of what is really there: never a remembered deletion."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries of many keys, a hundred a call; absent ones are left out."""
        asked = [key for key in keys if not _no_key(key)]
        found: dict[str, Entry] = {}
        for start in range(0, len(asked), READ_MOST):
            found |= self._read_bulk(asked[start : start + READ_MOST])
        return found

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """Apply writes in bulk: those that put something first, in the order given, then the deletions.

        Of several writes of one key the newest rev is sent. All that were sent count as applied: what the namespace
        held before is not asked. Whoever asks for a document to expire sooner than in a minute gets a minute.
        """
        for write in writes:
            _check(write)
        newest, outcomes = _newest(writes)
        for body in _in_bulks(_pair(write) for write in newest if write.body is not None):
            self._bulk("PUT", "/bulk", body)
        for body in _in_bulks(msgspec.json.encode(write.key) for write in newest if write.body is None):
            self._bulk("POST", "/bulk/delete", body)
        return outcomes

    def add(self, key: str, body: bytes) -> bool:
        """Write a document only if the key is free. Looked up first and written then: two that add the same key at
        once may both be told that they did, and one of them is overwritten.
        """
        _check_key(key)
        if self._call("GET", f"/metadata/{_encoded(key)}", absent_is_fine=True) is not None:
            return False
        self.write([Write(key, 1, body)])
        return True

    def list(self, prefix: str, *, after: str = "", most: int = LIST_MOST) -> Page:
        """Entries without bodies, at most a thousand. A document that somebody else put there has rev 0 and a digest
        that is none. `after` holds Cloudflare's cursor, and how many entries behind it were given already:
        Cloudflare lists no fewer than ten.
        """
        given_text, _, cursor = after.partition(" ")
        given = int(given_text or 0)
        limit = min(max(given + most, LIST_FEWEST), LIST_MOST)
        asked = {"prefix": prefix, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        try:
            answer = self._answer("GET", "/keys", params=asked)
            entries = [_listed(each) for each in answer["result"]]
            following = str(_object(answer.get("result_info")).get("cursor") or "")
        except (KeyError, TypeError) as error:
            raise StoreUnavailableError("Cloudflare's listing could not be understood.") from error
        except DocumentRefusedError as error:  # a cursor that is too old, perhaps
            raise StoreUnavailableError(f"The listing has to be begun anew. {error}") from error
        last = given + most
        if last < len(entries):
            return Page(entries[given:last], f"{last} {cursor}")
        return Page(entries[given:], f"0 {following}" if following else "")

    def close(self) -> None:
        self._http.close()

    def _read_bulk(self, keys: Sequence[str]) -> dict[str, Entry]:
        try:
            result = self._result("POST", "/bulk/get", {"keys": tuple(keys), "type": "text", "withMetadata": True})
        except DocumentRefusedError as error:
            if len(keys) == 1:
                raise StoreUnavailableError(f"Cloudflare does not hand out {keys[0]}.") from error
            half = len(keys) // 2  # together they are larger than one answer may be
            return self._read_bulk(keys[:half]) | self._read_bulk(keys[half:])
        held = _object(_object(result).get("values"))
        entries = [self._read(key, _object(each)) for key, each in held.items() if each is not None]
        return {entry.key: entry for entry in entries if entry is not None}

    def _read(self, key: str, held: dict[str, Any]) -> Entry | None:
        """An entry of a bulk read, which knows texts only: whatever is not what was written is read as bytes."""
        metadata = _metadata(held.get("metadata"))
        text = held.get("value")
        body: bytes | None = text.encode() if isinstance(text, str) else b""
        if digest_of(body) != metadata.digest:
            body = self.get(key)
        return None if body is None else Entry(key, metadata.rev, digest_of(body), body)

    def _bulk(self, method: str, path: str, body: bytes) -> None:
        result = _object(self._result(method, path, body))
        left = result.get("unsuccessful_keys") or []
        if left:
            # one write a second is what a key takes
            raise StoreUnavailableError(
                f"Cloudflare did not take {len(left)} of the keys, such as {str(left[0])[:KEY_LONGEST]}.",
                retry_after=1.0,
            )

    def _result(self, method: str, path: str, body: bytes | dict[str, Any]) -> object:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return self._answer(method, path, content=raw).get("result")

    def _answer(
        self, method: str, path: str, *, params: dict[str, str] | None = None, content: bytes | None = None
    ) -> dict[str, Any]:
        """The envelope of a successful answer. One that came in part says nothing of what became of the call."""
        response = self._call(method, path, params=params, content=content)
        try:
            answer = msgspec.json.decode(response.content) if response is not None else None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreUnavailableError("Cloudflare's answer could not be read.") from error
        if not isinstance(answer, dict) or answer.get("success") is not True:
            raise StoreUnavailableError("Cloudflare's answer did not say that the call succeeded.")
        return answer

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        content: bytes | None = None,
        absent_is_fine: bool = False,
    ) -> httpx.Response | None:
        """One call, never repeated here. None when a key is absent and that is an answer."""
        self._pace.take()
        headers = {"content-type": "application/json"} if content is not None else {}
        if content is not None and len(content) > LARGE:
            headers["connection"] = "close"
        try:
            response = self._http.request(method, path, params=params, content=content, headers=headers)
        except httpx.TimeoutException as error:
            raise StoreUnavailableError("Cloudflare did not answer in time.") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise StoreUnavailableError(f"Cloudflare could not be reached: {self._asked.shown(str(error))}") from error
        if response.is_success:
            return response
        problem = problem_of(response, self._asked)
        if problem is None and absent_is_fine:
            return None
        if isinstance(problem, StoreUnavailableError) and problem.retry_after:
            self._pace.pause(problem.retry_after)
        raise problem or StoreUnavailableError("Cloudflare speaks of a key that was not asked for.")


def _pace_of(token: str) -> Pace:
    with _paces_lock:
        return _paces.setdefault(hashlib.sha256(token.encode()).digest(), Pace(CALLS_MOST, CALLS_SECONDS))


def _encoded(key: str) -> str:
    return quote(key, safe="")


def _check(write: Write) -> None:
    _check_key(write.key)
    if write.body is not None and len(write.body) > BODY_LARGEST:
        raise DocumentRefusedError(
            f"{write.key} has {len(write.body):,} bytes; Cloudflare takes {BODY_LARGEST // 2**20} MiB at most."
        )


def _check_key(key: str) -> None:
    if why := _no_key(key):
        raise DocumentRefusedError(why)


def _no_key(key: str) -> str:
    """Why Cloudflare can have nothing under a key; "" when it can."""
    size = len(key.encode(errors="replace"))
    if size > KEY_LONGEST:
        return f"The key {key[:80]}… has {size} bytes; Cloudflare takes {KEY_LONGEST} bytes at most."
    return f"{key!r} cannot be a key at Cloudflare." if key in ("", ".", "..") else ""


def _newest(writes: Sequence[Write]) -> tuple[list[Write], list[Outcome]]:
    """Of each key the write that stands in the end, in the order in which those come; and what became of each write."""
    newest: dict[str, Write] = {}
    outcomes: list[Outcome] = []
    for write in writes:
        held = newest.get(write.key)
        if held is None or write.rev > held.rev:
            newest.pop(write.key, None)
            newest[write.key] = write
            outcomes.append(Outcome.APPLIED)
        else:
            same = (write.rev, write.body) == (held.rev, held.body)
            outcomes.append(Outcome.REPEATED if same else Outcome.STALE)
    return list(newest.values()), outcomes


def _pair(write: Write) -> bytes:
    """One element of a bulk call: a text as it is, anything else in base64."""
    body = write.body or b""
    pair: dict[str, Any] = {"key": write.key, "metadata": _Metadata(write.rev, digest_of(body))}
    try:
        pair["value"] = body.decode()
    except UnicodeDecodeError:
        pair |= {"value": base64.b64encode(body).decode(), "base64": True}
    if write.expires:
        pair["expiration"] = max(write.expires, int(time.time()) + SHORTEST_LIFE + 5)  # their clock is not ours
    return msgspec.json.encode(pair)


def _in_bulks(elements: Iterable[bytes]) -> Iterator[bytes]:
    """JSON lists of elements, as few as the limits of one call allow."""
    part: list[bytes] = []
    size = 0
    for element in elements:
        if part and (len(part) == PAIRS_MOST or size + len(element) > BULK_LARGEST):
            yield b"[" + b",".join(part) + b"]"
            part, size = [], 0
        part.append(element)
        size += len(element) + 1
    if part:
        yield b"[" + b",".join(part) + b"]"


def _listed(each: object) -> Entry:
    found = _object(each)
    metadata = _metadata(found.get("metadata"))
    return Entry(str(found["name"]), metadata.rev, metadata.digest, None)


def _metadata(found: object) -> _Metadata:
    try:
        return msgspec.convert(found, _Metadata)
    except msgspec.ValidationError:
        return _Metadata(0, UNKNOWN_DIGEST)


def _object(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise StoreUnavailableError("Cloudflare's answer could not be understood.")
    return found
