"""What Cloudflare's refusals mean for us: by the HTTP status first, then by the codes in the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx
import msgspec

from wire.kv.base import DocumentRefusedError, StoreRefusedError, StoreUnavailableError

Problem = StoreUnavailableError | StoreRefusedError | DocumentRefusedError

_KEY_MISSING = 10009
_NAMESPACE_MISSING = 10013
_NO_ROUTE = frozenset({7000, 7003})  # an account id of the wrong form
# Some say 400 where others say 401: a token of the wrong form, an unknown one, one that may not do this.
_NOT_ALLOWED = frozenset({6003, 6111, 9103, 9106, 9109, 10000, 10001})

_UNNAMED_PAUSE = 30.0  # seconds, for a 429 that names none
_LONGEST_PAUSE = 86_400.0  # the daily quota's; whatever is longer is a mistake
_SHOWN = 300  # characters of what Cloudflare says


class Asked(NamedTuple):
    """What errors are told of: the namespace's id, and the token that they must never show."""

    namespace: str
    token: str

    def __repr__(self) -> str:
        return f"Asked({self.namespace!r})"

    def shown(self, text: str) -> str:
        """A text that came from outside, without the token, on one line."""
        told = text.replace(self.token, "…") if self.token else text
        return "".join(letter if letter.isprintable() else " " for letter in told)[:_SHOWN].strip()


def problem_of(response: httpx.Response, asked: Asked) -> Problem | None:
    """The error that an unsuccessful answer stands for; None when it only says that a key is absent."""
    status = response.status_code
    codes, said = _errors(response, asked)
    told = f"Cloudflare answered {status}" + (f": {said}" if said else "")
    if status == 429:
        return StoreUnavailableError(f"{told}.", retry_after=_pause(response) or _UNNAMED_PAUSE)
    if status >= 500 or status == 408:
        return StoreUnavailableError(f"{told}.", retry_after=_pause(response))
    if status in (401, 403) or (codes & _NOT_ALLOWED and status != 404):
        return StoreRefusedError(
            f"{told}. SPENDOPS_CLOUDFLARE_API_TOKEN may not edit this namespace: set a token that is valid and may "
            "edit Workers KV of this account."
        )
    if status == 404 and _KEY_MISSING in codes:
        return None
    if status == 404 or codes & (_NO_ROUTE | {_NAMESPACE_MISSING}):
        return StoreRefusedError(
            f"{told}. There is no namespace {asked.namespace[:64]} in this account: correct the address "
            "cloudflare://ACCOUNT/NAMESPACE in SPENDOPS_KV."
        )
    if status in (400, 413, 414, 422):
        return DocumentRefusedError(f"{told}.")
    return StoreRefusedError(f"{told}. Check that SPENDOPS_CLOUDFLARE_API_URL is Cloudflare's API.")


def _errors(response: httpx.Response, asked: Asked) -> tuple[frozenset[int], str]:
    """The codes of an answer, and what it says. Answers that are none of the API's own have neither."""
    try:
        found = msgspec.json.decode(response.content)
        errors = [each for each in found["errors"] if isinstance(each, dict)]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return frozenset(), ""
    codes = frozenset(each["code"] for each in errors if isinstance(each.get("code"), int))
    said = "; ".join(str(each.get("message", "")).rstrip(".") for each in errors)
    return codes, asked.shown(said)


def _pause(response: httpx.Response) -> float:
    """The seconds that `retry-after` asks for, which it may also name as a date; 0 when it says nothing usable."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_PAUSE)
    then, now = _moment(text), _moment(response.headers.get("date", ""))
    if then is None:
        return 0.0
    return min(max(0.0, (then - (now or datetime.now(UTC))).total_seconds()), _LONGEST_PAUSE)


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
