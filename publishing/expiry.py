"""Documents that a store forgets by itself, should nobody be there to delete them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from tenants.actions.keys import KEEP_REVOKED
from wire.documents import KeyStatus

# Publishing deletes a revoked key's document itself after the first of these days.
FORGET_REVOKED = 2 * KEEP_REVOKED

_KEYS = "key:"
_REVOKED = KeyStatus.REVOKED.encode()  # few documents say so anywhere: the others are not looked into


class _Status(msgspec.Struct):
    status: str = KeyStatus.ACTIVE


_decode_status = msgspec.json.Decoder(_Status).decode


def expires_at(key: str, body: bytes | None, *, now: datetime) -> int:
    """When a store may forget a document that is sent now: those of revoked keys; Unix seconds, 0 = never."""
    if body is None or not key.startswith(_KEYS) or _REVOKED not in body:
        return 0
    revoked = _decode_status(body).status == KeyStatus.REVOKED
    return int((now + FORGET_REVOKED).timestamp()) if revoked else 0
