"""API keys: `so_<env>_<id12>_<secret43><crc6>`, base62.

A key is stored as HMAC-SHA256(pepper, SHA-256(key)) under a numbered pepper. The inner SHA-256 lets keys of another
system, of which only that hash is known, be taken over without issuing them again. The checksum lets a scanner tell
a key from a look-alike without asking anybody.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from typing import NamedTuple

from wire.ids import BASE62

ID_LENGTH = 12
SECRET_LENGTH = 43  # 43 base62 characters hold 256 bits
CHECKSUM_LENGTH = 6

PATTERN = re.compile(
    rf"so_(?P<env>[a-z]{{2,16}})_(?P<id>[0-9A-Za-z]{{{ID_LENGTH}}})_"
    rf"(?P<secret>[0-9A-Za-z]{{{SECRET_LENGTH}}})(?P<checksum>[0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)


class NewKey(NamedTuple):
    """A key just made. `text` is shown once and kept nowhere."""

    text: str
    public_id: str
    last_four: str


class ParsedKey(NamedTuple):
    """The parts of a well-formed key that are not secret."""

    env: str
    public_id: str


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))


def checksum(text: str) -> str:
    """Six base62 characters that tell a text from one with a typing mistake. Not a secret."""
    return _base62(zlib.crc32(text.encode()), CHECKSUM_LENGTH)


def random_text(length: int) -> str:
    """Random base62 characters; 43 of them hold 256 bits."""
    return "".join(secrets.choice(BASE62) for _ in range(length))


def new_key(env: str) -> NewKey:
    """Make a key for an environment from 256 random bits."""
    public_id = random_text(ID_LENGTH)
    body = f"so_{env}_{public_id}_{random_text(SECRET_LENGTH)}"
    text = body + checksum(body)
    return NewKey(text, public_id, text[-4:])


def parse_key(text: str) -> ParsedKey | None:
    """The public parts of a key whose form and checksum are right; None for anything else."""
    match = PATTERN.fullmatch(text)
    if match is None or not hmac.compare_digest(checksum(text[:-CHECKSUM_LENGTH]), match["checksum"]):
        return None
    return ParsedKey(match["env"], match["id"])


def key_hash(text: str, pepper: bytes) -> str:
    """The hash under which a key's policy stands in KV (`key:{hash}`), as 64 hexadecimal digits."""
    return hash_of_sha256(hashlib.sha256(text.encode()).digest(), pepper)


def hash_of_sha256(digest: bytes, pepper: bytes) -> str:
    """The same hash for a key of which only the SHA-256 digest is known."""
    return hmac.digest(pepper, digest, "sha256").hex()
