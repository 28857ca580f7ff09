"""What the errors of Redis and of its client mean for us.

Unavailable is what heals without us: a server that is down, loads, is full, cannot save, or became a replica because
another took over (the address leads to that one soon). Refused is what somebody has to correct: who may do what, and
which server the address names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.exceptions import AuthorizationError

from wire.kv.base import DocumentRefusedError, StoreRefusedError, StoreUnavailableError

_HEALS = {
    "OOM": "Redis is full: give it more memory (maxmemory)",
    "READONLY": "Redis is a replica now, which takes no writes",
    "MASTERDOWN": "Redis is a replica that lost its primary",
    "MISCONF": "Redis cannot save to its disk and takes no writes",
    "NOREPLICAS": "Redis has fewer replicas than it asks for and takes no writes",
    "LOADING": "Redis is still loading its data",
    "BUSY": "Redis is busy with a script",
    "CLUSTERDOWN": "Redis' cluster is down",
    "TRYAGAIN": "Redis' cluster is moving our documents",
    "NOSCRIPT": "Redis forgot our script twice",
}
_REFUSED = {
    "NOPERM": "Redis' user may not do that: docs/kv.md names the permissions",
    "NOAUTH": "Redis wants a user and a password: write them into the address",
    "WRONGPASS": "Redis does not know this user with this password: correct the address",
    "MOVED": "Redis is a cluster, whose other server holds this namespace: name that one, or a server of its own",
    "ASK": "Redis is a cluster, whose other server holds this namespace: name that one, or a server of its own",
    "CROSSSLOT": "Redis' cluster does not keep the documents of a namespace together",
    "WRONGTYPE": "Redis holds something else where our documents lie: name another namespace",
}
_CODE = re.compile(rf"\b({'|'.join([*_HEALS, *_REFUSED])})\b")
_REFUSED_TEXTS = {
    "executing the script can't": _REFUSED["NOPERM"],  # servers before 7 give it no code
    "unknown command": "Redis does not know, or hides, a command that we need",
    "without any password configured": "Redis knows no password for this user: correct the address",
    "invalid username-password": _REFUSED["WRONGPASS"],
    "invalid password": _REFUSED["WRONGPASS"],
    "DB index is out of range": "Redis has no database of this number: correct the address",
    "certificate verify failed": "Redis' certificate is not trusted: SSL_CERT_FILE names authorities of your own",
}
_SHOWN = 200  # characters of what Redis says


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the client raises as one of the errors of `wire.kv.base`."""
    try:
        yield
    except redis.TimeoutError as error:
        raise StoreUnavailableError("Redis did not answer in time.") from error
    except UnicodeEncodeError as error:
        raise DocumentRefusedError("A key is no text that can be written as UTF-8.") from error
    except (redis.RedisError, redis.RedisClusterException, OSError) as error:
        raise _problem(error) from error


def _problem(error: Exception) -> StoreUnavailableError | StoreRefusedError | DocumentRefusedError:
    code = str(getattr(error, "status_code", None) or "")
    said = " ".join(str(error).split()).rpartition(" caused error: ")[2].partition(" script: ")[0][:_SHOWN].rstrip(".")
    if "Protocol error: invalid bulk length" in said:
        return DocumentRefusedError("A document is larger than Redis takes (proto-max-bulk-len).")
    for text, sentence in _REFUSED_TEXTS.items():
        if text in said:
            return StoreRefusedError(f"{sentence} ({said}).")
    found = _CODE.search(code) or (_CODE.search(said) if isinstance(error, redis.ResponseError) else None)
    if found and found[0] in _REFUSED:
        return StoreRefusedError(f"{_REFUSED[found[0]]} ({said}).")
    if isinstance(error, redis.AuthenticationError | AuthorizationError):
        return StoreRefusedError(f"Redis let us not in: correct user and password in the address ({said}).")
    if found:
        return StoreUnavailableError(f"{_HEALS[found[0]]} ({said}).")
    if isinstance(error, redis.ConnectionError | OSError):
        return StoreUnavailableError(f"Redis could not be reached: {said}.")
    return StoreUnavailableError(f"Redis answered: {said}.")
