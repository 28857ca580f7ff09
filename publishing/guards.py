"""What is not published without a person's word: prices that look broken, keys that a store knows are revoked, and
repairs that look like a mistake.

A confirmation is a code that is made from the very thing that was held, so it fits nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import structlog

from pricing.rules import FALL_MOST_PERCENT, fall_percent, falls_too_far
from publishing.models import KvEntry
from wire.documents import PRICING_BLOB, KeyStatus, decode_key, key_document
from wire.kv.base import Entry
from wire.prices import PriceBook, PricingBlob

log = structlog.get_logger(__name__)

REMOVED_MOST = 20  # so many documents may always go, and so many of a store may be ahead of SQL
REMOVED_MOST_PERCENT = 5
CODE_LENGTH = 24  # hexadecimal digits
_KEY = key_document("")


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


def hold_of_revival(entry: KvEntry, held: Entry | None) -> Hold | None:
    """What speaks against writing a key's document over what the store holds; None when nothing.

    A key that was revoked never works again, so a store that says so in the place of a key that SQL would have work
    knows more than SQL, which was probably set back. A key that is only disabled may be enabled by anybody.
    """
    if held is None or not _is_living_key(entry) or not is_dead(held):
        return None
    code = revival_code(entry, held.rev)
    return Hold(
        f"The store says that this key is {'deleted' if held.deleted else 'revoked'}, at rev {held.rev:,}, and it "
        "would work again: SQL was probably set back to before that. Revoke the key. If it is really meant to work, "
        f"confirm it: manage.py confirm_publish --env {entry.env} {code}",
        code,
    )


def revival_code(entry: KvEntry, held_rev: int) -> str:
    """The code that lets a key's document take the place of the revoked or deleted one that a store holds at a rev."""
    return code_of(["revival", entry.env, entry.key, entry.digest, str(held_rev)])


def is_dead(held: Entry) -> bool:
    """Whether a store says that a key is revoked or deleted."""
    return held.deleted or _says_revoked(held.body)


def let_through(
    entries: Sequence[KvEntry], read: Callable[[Sequence[str]], Mapping[str, Entry]], *, suspects: bool
) -> list[KvEntry]:
    """Of entries that are about to be written, those that no guard holds. The others are parked, with the reason.

    `read` says what the store holds under keys. With `suspects`, keys' documents are looked up of which a store that
    knows more than SQL would not notice it: it refuses the rev after the one that it acknowledged, if it holds a newer
    one, but no later one. Without, as for a store that refuses nothing, only those that were held before.
    """
    looked_up = [entry.key for entry in entries if entry.key == PRICING_BLOB or _is_suspect(entry, suspects)]
    held = read(looked_up) if looked_up else {}
    return [entry for entry in entries if _passes(entry, _hold(entry, held.get(entry.key)))]


def hold_back(entry: KvEntry, hold: Hold) -> None:
    """Park an entry until a person has confirmed it."""
    log.error("A document is held back", env=entry.env, store=entry.store, key=entry.key, reason=hold.reason)
    this_rev = KvEntry.objects.filter(pk=entry.pk, rev=entry.rev)
    this_rev.update(parked=True, held=hold.code, error=hold.reason, attempts=0)


def is_confirmed(entry: KvEntry, hold: Hold) -> bool:
    """Whether a person has confirmed exactly this."""
    return bool(hold.code) and hold.code == entry.confirmed


def _is_suspect(entry: KvEntry, suspects: bool) -> bool:
    looked_for = entry.held or (suspects and entry.rev > entry.published_rev + 1)
    return bool(looked_for) and _is_living_key(entry)


def _hold(entry: KvEntry, held: Entry | None) -> Hold | None:
    if entry.key != PRICING_BLOB:
        return hold_of_revival(entry, held)
    body = None if entry.body is None else bytes(entry.body)
    return hold_of_prices(entry.env, body, None if held is None else held.body)


def _passes(entry: KvEntry, hold: Hold | None) -> bool:
    if hold is not None and not is_confirmed(entry, hold):
        hold_back(entry, hold)
        return False
    if entry.held:
        KvEntry.objects.filter(pk=entry.pk, rev=entry.rev).update(held="")
    return True


def _is_living_key(entry: KvEntry) -> bool:
    return entry.key.startswith(_KEY) and entry.body is not None and not _says_revoked(bytes(entry.body))


def _says_revoked(body: bytes | None) -> bool:
    try:
        return decode_key(body or b"").status is KeyStatus.REVOKED
    except msgspec.DecodeError:  # nothing that a gateway could read
        return False


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
