"""The rows of desired state, written many at once: what SQL says, the same again at a higher rev, copies of a store.

All of this happens in a turn (`leases.wait_for_turn`), so of several publishers one at a time works here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.utils import timezone

from publishing.models import KvEntry, KvVersion
from publishing.render import Document

_REVISED = [
    "tenant_id",
    "rev",
    "body",
    "digest",
    "why",
    "urgent",
    "updated_at",
    "next_at",
    "attempts",
    "parked",
    "error",
]  # of a row that is there already; what its store acknowledged stays
_AT_ONCE = 1000
_TABLE = KvEntry._meta.db_table


class Cause(NamedTuple):
    """Why a document may have changed: the audit event, and whether that takes something away from somebody."""

    event: int
    urgent: bool = False


class Held(NamedTuple):
    """A document's newest row, and the revs of its rows by store."""

    rev: int
    digest: str
    revs: dict[str, int]


def stores_fed(env: str) -> list[str]:
    """The ids of an environment's stores. Rows of stores that are not named any more stay as they are."""
    return [store.id for store in settings.SPENDOPS.stores[env]]


def desire(wanted: Iterable[tuple[Document, Cause]]) -> None:
    """Raise the revs of documents whose content is another one than their rows'. The same again changes nothing.

    A store that has no row of an unchanged document gets one.
    """
    by_env: dict[str, dict[str, tuple[Document, Cause]]] = {}
    for document, cause in wanted:
        by_env.setdefault(document.env, {})[document.key] = (document, cause)
    for env, documents in by_env.items():
        _desire(env, documents)


def _desire(env: str, documents: dict[str, tuple[Document, Cause]]) -> None:
    now = timezone.now()
    held = held_of(env, list(documents), lock=True)
    rows: list[KvEntry] = []
    versions: list[KvVersion] = []
    for key, (document, cause) in documents.items():
        before = held.get(key)
        if before is None and document.content is None:
            continue
        digest = content_digest(document.content)
        changed = before is None or before.digest != digest
        rev = (before.rev if before else 0) + changed
        behind = [store for store in stores_fed(env) if before is None or before.revs.get(store, 0) < rev]
        if not behind:
            continue
        body = _at_rev(document.content, rev)
        rows += [
            KvEntry(
                env=env,
                store=store,
                key=key,
                tenant_id=document.tenant_id,
                rev=rev,
                body=body,
                digest=digest,
                why=cause.event,
                urgent=cause.urgent or document.urgent,
                next_at=now,
            )
            for store in behind
        ]
        if changed:
            versions.append(
                KvVersion(env=env, key=key, tenant_id=document.tenant_id, rev=rev, body=body, why=cause.event, at=now)
            )
    put(rows)
    KvVersion.objects.bulk_create(
        versions,
        update_conflicts=True,
        unique_fields=["env", "key", "rev"],
        update_fields=["tenant_id", "body", "why", "at"],
    )


def raise_revs(env: str, keys: Sequence[str], *, why: int) -> None:
    """The same documents at a higher rev, in all stores that have their newest rows; `level` brings on the others."""
    now = timezone.now()
    held = held_of(env, keys, lock=True)
    rows = KvEntry.objects.filter(env=env, key__in=keys, store__in=stores_fed(env))
    newest = [
        (with_rev(body, rev + 1), pk)
        for pk, key, rev, body in rows.values_list("pk", "key", "rev", "body").iterator(_AT_ONCE)
        if rev == held[key].rev
    ]
    KvEntry.objects.filter(pk__in=[pk for _, pk in newest]).update(
        rev=F("rev") + 1, why=why, updated_at=now, next_at=now, attempts=0, parked=False, error=""
    )
    with connection.cursor() as cursor:  # one statement for many bodies, which differ
        cursor.executemany(f"UPDATE {_TABLE} SET body = %s WHERE id = %s", newest)  # noqa: S608 - a constant


def held_of(env: str, keys: Sequence[str], *, lock: bool) -> dict[str, Held]:
    """The rows of documents, whatever their stores: also of one that was fed earlier, whose revs count on."""
    rows = KvEntry.objects.filter(env=env, key__in=keys).order_by("pk")
    if lock:
        rows = rows.select_for_update()
    found: dict[str, Held] = {}
    for key, store, rev, digest in rows.values_list("key", "store", "rev", "digest"):
        held = found.get(key)
        if held is None or held.rev < rev:
            held = found[key] = Held(rev, digest, held.revs if held else {})
        held.revs[store] = rev
    return found


def newest_rows(env: str, keys: Iterable[str], held: dict[str, Held]) -> Iterable[KvEntry]:
    """Of each document the row with the highest rev, whichever store it is of."""
    seen: set[str] = set()
    for row in KvEntry.objects.filter(env=env, key__in=list(keys)).iterator(_AT_ONCE):
        if row.rev == held[row.key].rev and row.key not in seen:
            seen.add(row.key)
            yield row


def copied(row: KvEntry, store: str, *, rev: int, why: int, now: datetime) -> KvEntry:
    """A document's row for a store, at a rev that says the same."""
    return KvEntry(
        env=row.env,
        store=store,
        key=row.key,
        tenant_id=row.tenant_id,
        rev=rev,
        body=with_rev(row.body, rev),
        digest=row.digest,
        why=why,
        urgent=row.urgent,
        next_at=now,
    )


def put(rows: Sequence[KvEntry], *, also: Sequence[str] = ()) -> None:
    """Insert rows, or revise those that are there: a new rev waits for nothing that its forerunner failed at.

    `also` names further fields that are revised.
    """
    KvEntry.objects.bulk_create(
        rows,
        batch_size=_AT_ONCE,
        update_conflicts=True,
        unique_fields=["env", "store", "key"],
        update_fields=[*_REVISED, *also],
    )


def content_digest(content: msgspec.Struct | None) -> str:
    """The digest that entries compare by: of the content at rev 0; "" for a deletion."""
    return "" if content is None else hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def with_rev(body: bytes | memoryview | None, rev: int) -> bytes | None:
    """The same document at another rev."""
    return None if body is None else msgspec.json.encode(msgspec.json.decode(bytes(body)) | {"rev": rev})


def _at_rev(content: msgspec.Struct | None, rev: int) -> bytes | None:
    return None if content is None else msgspec.json.encode(msgspec.structs.replace(content, rev=rev))
