"""The chain of audit events: each carries the digest of the one before it and an HMAC over all that it says.

Whoever changes a row by hand cannot make the digest that fits without the key, which is not in the database. Cutting
the newest rows off leaves a chain that holds: that is found through the heads kept outside (`changes/heads.py`).
"""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from changes.models import AuditEvent

BEGINNING = ""  # what the first event has as `previous`

# What a digest covers, in this order. A new column is added at the end, and only for events that have a value in it.
FIELDS = (
    "id",
    "at",
    "kind",
    "tenant_id",
    "actor_kind",
    "actor_id",
    "actor_role",
    "target_kind",
    "target_id",
    "before",
    "after",
    "request_id",
    "address",
)
_LOCK = 7_310_602_119  # any number, the same in every process


class Link(NamedTuple):
    """The end of the chain: the newest event's id and digest; 0 and "" while there is none."""

    id: int
    digest: str


def last_link() -> Link:
    """The end of the chain as this transaction sees it."""
    found = AuditEvent.objects.order_by("-id").values_list("id", "digest").first()
    return Link(*found) if found else Link(0, BEGINNING)


def hold_the_end() -> Link:
    """The end of the chain, which nobody else can extend before the open transaction ends.

    PostgreSQL: an advisory lock of the transaction. SQLite: our transactions are IMMEDIATE, one writer at a time.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    return last_link()


def digest_of(event: AuditEvent) -> str:
    """The digest that an event must have: HMAC-SHA256 over its fields and the digest before it."""
    said = [event.previous, *(getattr(event, name) for name in FIELDS)]
    return hmac.digest(settings.AUDIT_KEY.encode(), _canonical(said).encode(), "sha256").hex()


def _canonical(value: Any) -> str:
    """One text for one value, whichever engine it was read from: JSON with sorted names and plain numbers."""
    match value:
        case None | bool() | str():
            return json.dumps(value)
        case int():
            return str(value)
        case float():  # PostgreSQL writes 1e22 as a whole number, so both have to read alike
            number = Decimal(repr(value))
            return f"{number.normalize():f}" if number else "0"
        case datetime():
            return json.dumps(value.astimezone(UTC).isoformat(timespec="microseconds"))
        case list():
            return f"[{','.join(map(_canonical, value))}]"
        case dict():
            return f"{{{','.join(f'{json.dumps(name)}:{_canonical(value[name])}' for name in sorted(value))}}}"
    raise TypeError(f"An audit event cannot hold a {type(value).__name__}.")
