"""What every API's wire format tells the gateway: where it is, what it may be asked, what an answer used."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

Body = dict[str, Any]

# What decoding raises for a document that is not what it should be: malformed, nested too deep, not UTF-8.
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


ABSENT = msgspec.Raw()
T = TypeVar("T")


def part(raw: msgspec.Raw, decode: Callable[[msgspec.Raw], T]) -> T | None:
    """One part of a document, decoded by itself; None when it is absent or of another form than expected.

    What is read of an answer is read part by part, so that an oddity in one never costs the usage in another.
    """
    try:
        return decode(raw)
    except UNREADABLE:
        return None


def present(raw: msgspec.Raw) -> bool:
    """Whether a part says anything."""
    return bytes(raw) not in (b"", b"null")


def text(raw: msgspec.Raw) -> str:
    """A part that is a text; "" for anything else."""
    return part(raw, _decode_text) or ""


_decode_text = msgspec.json.Decoder(str).decode


class Shape(StrEnum):
    """Whose errors and lists an API speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Reading(NamedTuple):
    """What an answer says of itself.

    `units` is None when the answer has no usage block that could be understood. `exact` is False when a stream broke
    off between a first and a last usage block: the units that were seen are true, the rest is to be estimated.
    """

    units: dict[str, int] | None = None
    exact: bool = True
    model: str = ""  # the model that answered, as the provider names it
    service_tier: str = ""
    speed: str = ""
    failed: bool = False  # the provider reported an error inside an answer that began well
    complete: bool = True  # a stream reached its own end mark
    text_bytes: int = 0  # of what was generated, counted while streaming


NOTHING = Reading()


class Verdict(Enum):
    """What becomes of one event of a stream."""

    PASS = 0
    DROP = 1  # ours alone: the caller did not ask for it
    LAST = 2  # the stream's own end mark: held until the call's event is stored


class StreamReader(Protocol):
    """Looks at one stream's events as they pass."""

    def see(self, data: bytes) -> Verdict:
        """Take note of one event's data (JSON, or an end mark)."""

    def reading(self) -> Reading:
        """What was learnt so far."""


class Api(Protocol):
    """One route in one wire format."""

    path: str
    suffix: str  # what follows a provider's base URL
    use: str  # what selections call it: one of `wire.documents.USES`
    shape: Shape

    def problem(self, body: Body) -> str | None:
        """Why a request cannot be forwarded and metered, as a sentence; None when it can."""

    def streamed(self, body: Body) -> bool:
        """Whether the caller asked for a stream."""

    def ask_usage(self, body: Body) -> bool:
        """Make a stream report its usage, changing the body. Returns whether that report must be hidden again."""

    def read(self, answer: bytes) -> Reading:
        """Read a whole answer."""

    def reader(self, *, hide_usage: bool) -> StreamReader:
        """A reader for one stream."""

    def broken(self, code: str, message: str) -> bytes:
        """The event that tells a caller that its stream broke off."""
