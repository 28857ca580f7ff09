"""Putting a backup back into a namespace, without bringing back what SQL has taken away since."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from publishing import leases
from publishing.backup.files import Reading
from publishing.backup.patience import STORE_ERRORS, Patience
from publishing.errors import BackupError
from publishing.expiry import expires_at
from publishing.models import KvEntry
from publishing.namespace import OWNED_PREFIXES, Namespace
from tenants.models import ApiKey
from tenants.scope import across_tenants
from wire.documents import KeyStatus, decode_key, key_document
from wire.kv.base import Entry, Outcome, Write, digest_of
from wire.kv.stores import Kind, Store

WAITS_FOR_PUBLISHER = 10.0  # seconds
LIFETIME = timedelta(seconds=60)  # of the publisher's lease at least, renewed before every piece and every try
_KEY = key_document("")


class Restored(NamedTuple):
    """What a restore did. `outdated` were left out because SQL has said something newer of them, `kept` because the
    namespace holds something as new already.
    """

    written: int = 0
    outdated: int = 0
    kept: int = 0

    def plus(self, other: Restored) -> Restored:
        return Restored(self.written + other.written, self.outdated + other.outdated, self.kept + other.kept)


def restore(path: Path, store: Store, *, by: Actor, force: bool = False) -> Restored:
    """Put a backup into a namespace that is empty or, with `force`, into one that is not: newer documents then stay.

    The whole file is checked first. Whoever calls this compares the namespace with SQL afterwards. Raises BackupError.
    """
    with Reading(path) as reading:
        if reading.header.env != store.env:
            raise BackupError(
                f"{path.name} is a backup of {reading.header.env} and would go into {store.env}: nothing was restored. "
                f"Name a backup of {store.env}, or --env {reading.header.env}."
            )
        holder = leases.new_holder()
        namespace = Namespace(store)
        _keep_publisher_out(namespace, holder, so_far="nothing was restored")
        try:
            return _restore(reading, namespace, path.name, by=by, force=force, holder=holder)
        except STORE_ERRORS as error:
            raise BackupError(f"{store.id} of {store.env} cannot be restored: {error}") from error
        finally:
            namespace.close()
            leases.release(leases.name_of(store), holder)


def _keep_publisher_out(namespace: Namespace, holder: str, *, so_far: str) -> None:
    """Take or renew the publisher's lease. Raises BackupError when a publisher has it for good."""
    deadline = time.monotonic() + WAITS_FOR_PUBLISHER
    while not leases.acquire(namespace.name, holder, lifetime=max(LIFETIME, namespace.lease)):
        if time.monotonic() > deadline:
            raise BackupError(
                f"A publisher is writing into {namespace.store.id} of {namespace.env} all the time: {so_far}. "
                "Stop manage.py publish, and try again."
            )
        time.sleep(0.1)


def _restore(reading: Reading, namespace: Namespace, name: str, *, by: Actor, force: bool, holder: str) -> Restored:
    patience = Patience()
    ours = patience.ask(namespace.check)
    if not force and (ours or patience.ask(lambda: namespace.list("", most=1)).entries):
        raise BackupError(
            f"The namespace of {namespace.env} in {namespace.store.id} is not empty: nothing was restored. With "
            "--force documents are added to what is there, and newer ones stay."
        )
    with transaction.atomic():
        record(
            "kv_namespace.restored",
            by=by,
            tenant="",
            target_kind="kv_namespace",
            target_id=namespace.name[:128],
            after={"file": name, "made_at": reading.header.made_at, "documents": reading.header.count, "force": force},
        )
    total = Restored()
    for piece in _pieces(reading.entries(), namespace.batch):
        so_far = f"only {total.written:,} documents were restored"
        total = total.plus(
            patience.ask(partial(_restore_piece, namespace, piece, force=force, holder=holder, so_far=so_far))
        )
    return total


def _restore_piece(namespace: Namespace, piece: list[Entry], *, force: bool, holder: str, so_far: str) -> Restored:
    """One try. A store may have asked for a pause before it, so long that a publisher had its turn: what is outdated is
    looked up anew.
    """
    _keep_publisher_out(namespace, holder, so_far=so_far)
    writing = current = _not_outdated(namespace, piece)
    if force:
        newer = _newer_than_held(namespace, current)
        _keep_publisher_out(namespace, holder, so_far=so_far)  # looking them up may have taken long, too
        writing = _not_outdated(namespace, newer)
    now = timezone.now()
    writes = [Write(each.key, each.rev, each.body, expires_at(each.key, each.body, now=now)) for each in writing]
    outcomes = namespace.write(writes) if writes else []
    stale = outcomes.count(Outcome.STALE)
    return Restored(len(writes) - stale, len(piece) - len(current), len(current) - len(writes) + stale)


def _pieces(entries: Iterable[Entry], most: int) -> Iterator[list[Entry]]:
    left = iter(entries)
    while piece := list(islice(left, most)):
        yield piece


def _not_outdated(namespace: Namespace, piece: list[Entry]) -> list[Entry]:
    """Without documents of which SQL has said something newer or else, and without keys that SQL knows are revoked:
    a key that was revoked after the backup must not work even for a moment.
    """
    ours = [entry.key for entry in piece if entry.key.startswith(OWNED_PREFIXES) and not entry.deleted]
    rows: dict[str, tuple[int, str]] = {}
    for key, rev, body in KvEntry.objects.filter(env=namespace.env, key__in=ours).values_list("key", "rev", "body"):
        rows[key] = max(rows.get(key, (0, "")), (rev, digest_of(None if body is None else bytes(body))))
    hashes = [key.removeprefix(_KEY) for key in ours if key.startswith(_KEY)]
    with across_tenants("the keys of every tenant lie in one namespace"):
        found = ApiKey.objects.filter(hash__in=hashes, status=ApiKey.Status.REVOKED).values_list("hash", flat=True)
        revoked = {key_document(each) for each in found}
    return [
        entry
        for entry in piece
        if entry.deleted
        or not (
            _is_outdated(entry, *rows.get(entry.key, (0, ""))) or (entry.key in revoked and not _says_revoked(entry))
        )
    ]


def _is_outdated(entry: Entry, rev: int, digest: str) -> bool:
    return rev > entry.rev or (rev == entry.rev and digest != entry.digest)


def _says_revoked(entry: Entry) -> bool:
    try:
        return decode_key(entry.body or b"").status is KeyStatus.REVOKED
    except msgspec.DecodeError:
        return False


def _newer_than_held(namespace: Namespace, entries: list[Entry]) -> list[Entry]:
    """Cloudflare takes whatever it is given, so it is looked up first; the other stores refuse older revs."""
    if namespace.store.kind is not Kind.CLOUDFLARE or not entries:
        return entries
    held = namespace.get_many([entry.key for entry in entries])
    return [entry for entry in entries if entry.key not in held or held[entry.key].rev < entry.rev]
