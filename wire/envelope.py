"""Secrets at rest: AES-256-GCM, a data key of its own for each, wrapped by a key that lies elsewhere.

What is sealed is bound to where it belongs (tenant, table, row), so that a sealed text that is copied to another row
does not open there. The key that wraps can be changed by wrapping the data keys anew.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = "e1"
_NONCE = 12  # bytes, as NIST SP 800-38D, section 8.2, wants them for random nonces


class EnvelopeError(Exception):
    """A sealed text that does not open here: damaged, of another place, or sealed under another key."""


class Envelope:
    """Seals and opens texts. Made from a secret of at least 256 random bits, in any form."""

    def __init__(self, secret: bytes) -> None:
        self._wrapping = AESGCM(
            HKDF(algorithm=SHA256(), length=32, salt=None, info=b"spendops envelope " + _VERSION.encode()).derive(
                secret
            )
        )

    def seal(self, text: str, *, place: str) -> str:
        """Seal a text for one place, such as `t_1|channel|c_9`."""
        key = AESGCM.generate_key(256)
        wrapped = _encrypt(self._wrapping, key, f"key|{place}")
        sealed = _encrypt(AESGCM(key), text.encode(), place)
        return f"{_VERSION}.{_text(wrapped)}.{_text(sealed)}"

    def open(self, sealed: str, *, place: str) -> str:
        """What was sealed for this place. Raises EnvelopeError."""
        try:
            version, wrapped, body = sealed.split(".")
            if version != _VERSION:
                raise EnvelopeError(f"This was sealed in the form {version[:8]!r}, which is not known here.")
            key = _decrypt(self._wrapping, _bytes(wrapped), f"key|{place}")
            return _decrypt(AESGCM(key), _bytes(body), place).decode()
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise EnvelopeError("This does not open: it is damaged, or was sealed elsewhere.") from error


def _encrypt(cipher: AESGCM, plain: bytes, place: str) -> bytes:
    nonce = urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, plain, place.encode())


def _decrypt(cipher: AESGCM, sealed: bytes, place: str) -> bytes:
    return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.encode())
