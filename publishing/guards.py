"""What is not published without a person's word: prices that look broken, and repairs that look like a mistake.

A confirmation is a code that is made from the very thing that was held, so it fits nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
import structlog

from pricing.rules import FALL_MOST_PERCENT, fall_percent, falls_too_far
from publishing.models import KvEntry
from wire.documents import PRICING_BLOB
from wire.prices import PriceBook, PricingBlob

log = structlog.get_logger(__name__)

REMOVED_MOST = 20  # so many documents may always go, and so many of a store may be ahead of SQL
REMOVED_MOST_PERCENT = 5
CODE_LENGTH = 24  # hexadecimal digits


class Hold(NamedTuple):
    """Why something is held back, and the code that lets it through: "" when nothing does."""

    reason: str
    code: str


def hold_of_prices(env: str, body: bytes | None, published: bytes | None) -> Hold | None:
    """What speaks against publishing a price book in the place of the one that the store holds; None when nothing."""
    book = _readable(body)
    if book is None:
        return Hold("The price book cannot be read by a gateway: it is not published. Correct the prices.", "")
    if book.blob.env != env:
        return Hold(f"The price book is that of {book.blob.env}, not of {env}: it is not published.", "")
    if not len(book):
        return Hold("The price book is empty: it is not published. Run manage.py sync_prices.", "")
    before = _readable(published)
    if before is None or not falls_too_far(len(before), len(book)):
        return None
    code = code_of([env, _content(before), _content(book)])
    return Hold(
        f"The price book has {len(book):,} models where the published one has {len(before):,}: "
        f"{fall_percent(len(before), len(book))} % fewer, and "
        f"{FALL_MOST_PERCENT} % may go unasked. If the models are really gone, confirm it: "
        f"manage.py confirm_publish --env {env} {code}",
        code,
    )


def let_through(entries: Iterable[KvEntry], published: Callable[[str], bytes | None]) -> list[KvEntry]:
    """Of entries that are about to be written, those that no guard holds. The others are parked, with the reason.

    `published` reads what the store holds under a key.
    """
    passed = []
    for entry in entries:
        if entry.key != PRICING_BLOB:
            passed.append(entry)
            continue
        body = None if entry.body is None else bytes(entry.body)
        hold = hold_of_prices(entry.env, body, published(entry.key))
        this_rev = KvEntry.objects.filter(pk=entry.pk, rev=entry.rev)
        if hold is None or (hold.code and hold.code == entry.confirmed):
            this_rev.exclude(held="").update(held="")
            passed.append(entry)
        else:
            log.error("A document is held back", env=entry.env, store=entry.store, key=entry.key, reason=hold.reason)
            this_rev.update(parked=True, held=hold.code, error=hold.reason, attempts=0)
    return passed


def why_not_repaired(*, in_sql: int, in_store: int, removed: int, ahead: int, revived: str, confirmation: str) -> str:
    """Why a repair waits for a person, "" when it need not.

    `in_sql` and `in_store` are the living documents of each side, `removed` those that would be deleted, `ahead` those
    of which the store has a newer rev, `revived` a revoked key that would work again.
    """
    why = []
    if in_store and not in_sql:
        why.append(
            f"SQL knows of no document at all, while the store holds {in_store:,}: SQL may be a wrong or new one."
        )
    elif removed * 2 > in_store or _too_many(removed, in_store):
        why.append(f"{removed:,} of the store's {in_store:,} documents would be deleted.")
    if _too_many(ahead, in_store):
        why.append(f"The store is ahead of SQL with {ahead:,} documents: SQL may have been set back to an older state.")
    if revived:
        why.append(f"{revived} is revoked or deleted in the store and would work again.")
    if not why:
        return ""
    return " ".join(
        [*why, f"Nothing was repaired. If this is meant, confirm exactly these differences: {confirmation}"]
    )


def code_of(parts: Iterable[str]) -> str:
    """The code that confirms something: made from everything that it consists of."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:CODE_LENGTH]


def _too_many(some: int, of: int) -> bool:
    return some > REMOVED_MOST and some * 100 > of * REMOVED_MOST_PERCENT


def _readable(body: bytes | None) -> PriceBook | None:
    """A price book that a gateway can use, None for anything else."""
    try:
        return PriceBook(msgspec.json.decode(body or b"", type=PricingBlob))
    except (msgspec.MsgspecError, ValueError, KeyError, re.error):
        return None


def _content(book: PriceBook) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(book.blob, rev=0))).hexdigest()
