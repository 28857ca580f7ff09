"""Backups of namespaces: which there are, when the next one is due, how one is made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
from django.conf import settings
from django.utils import timezone

from publishing import leases
from publishing.backup.files import SUFFIX, Writing, unfinished_in
from publishing.backup.patience import STORE_ERRORS, Patience
from publishing.errors import BackupError
from publishing.models import KvEntry
from publishing.namespace import Namespace
from wire.kv.base import Entry, digest_of
from wire.kv.stores import Store

log = structlog.get_logger(__name__)

EVERY = timedelta(days=7)
PIECE = 1000
LIFETIME = timedelta(minutes=30)  # of the lease, renewed with every piece
ABANDONED = timedelta(days=1)  # an unfinished file so old is nobody's any more

_MOMENT = "%Y%m%dT%H%M%SZ"
_UNFIT = re.compile(r"[^a-z0-9]+")


class Backup(NamedTuple):
    """A file that was made. `deletions` of the documents are ones that the store remembers."""

    path: Path
    env: str
    store: str
    documents: int
    deletions: int
    size: int


def back_up(store: Store, *, folder: Path | None = None) -> Backup:
    """Write all of a namespace into a file: documents of all prefixes, and the deletions that the store remembers.

    The newest files are kept and older ones deleted, unless a folder is named. Each document is as it was when it was
    read; what changed while the others were read is in the file as it was before or after. Raises BackupError.
    """
    kept = folder is None
    place = _made(folder or settings.KV_BACKUPS)
    lease, holder = f"copy {leases.name_of(store)}", leases.new_holder()

    def renew() -> None:
        leases.acquire(lease, holder, lifetime=LIFETIME)

    if not leases.acquire(lease, holder, lifetime=LIFETIME):
        raise BackupError(f"Another run backs {store.id} of {store.env} up just now: try again when it is done.")
    namespace = Namespace(store)
    now = timezone.now()
    path = place / f"{_stem(store)}{now.astimezone(UTC):{_MOMENT}}{SUFFIX}"
    try:
        if not namespace.check():
            raise BackupError(f"The namespace of {store.env} in {store.id} is empty: there is nothing to back up.")
        documents = deletions = 0
        with Writing(path) as writing:
            for entry in _everything(namespace, renew):
                writing.add(entry)
                documents += not entry.deleted
                deletions += entry.deleted
            writing.finish(env=store.env, store=store.id, made_at=now.isoformat())
    except OSError as error:
        raise BackupError(
            f"The backup cannot be written into {place} ({error.strerror}): make room, or name another folder."
        ) from error
    except STORE_ERRORS as error:
        raise BackupError(f"{store.id} of {store.env} cannot be backed up: {error}") from error
    finally:
        namespace.close()
        leases.release(lease, holder)
    if kept:
        _forget_old(store, place)
    log.info("A namespace was backed up", namespace=namespace.name, file=path.name, documents=documents)
    return Backup(path, store.env, store.id, documents, deletions, path.stat().st_size)


def backups_of(store: Store, folder: Path) -> list[tuple[datetime, Path]]:
    """A namespace's backups in a folder, the newest first."""
    stem = _stem(store)
    found = []
    for path in folder.glob(f"{stem}*{SUFFIX}"):
        moment = path.name.removeprefix(stem).removesuffix(SUFFIX)
        try:
            found.append((datetime.strptime(moment, _MOMENT).replace(tzinfo=UTC), path))
        except ValueError:
            continue  # not one of ours
    return sorted(found, reverse=True)


def is_due(store: Store) -> bool:
    """Whether the newest backup is a week old, or there is none."""
    found = backups_of(store, settings.KV_BACKUPS)
    return not found or found[0][0] <= timezone.now() - EVERY


def _everything(namespace: Namespace, renew: Callable[[], None]) -> Iterator[Entry]:
    patience = Patience()
    after = ""
    while True:
        page = patience.ask(partial(namespace.list, "", after=after, most=PIECE))
        bare = {entry.key: entry.digest for entry in page.entries if entry.body is None and not entry.deleted}
        known = _known_to_sql(namespace, bare)
        missing = [key for key in bare if key not in known]
        fetched = patience.ask(partial(namespace.get_many, missing)) if missing else {}
        for entry in page.entries:
            if entry.key in known:
                yield entry._replace(body=known[entry.key])
            elif entry.key not in bare:
                yield entry
            elif entry.key in fetched:  # else it was deleted since it was listed
                yield fetched[entry.key]
        renew()
        after = page.after
        if not after:
            return


def _known_to_sql(namespace: Namespace, digests: dict[str, str]) -> dict[str, bytes]:
    """The bodies of documents that SQL has with the same digest: far stores are asked for the others only."""
    rows = KvEntry.objects.filter(env=namespace.env, store=namespace.store.id, key__in=list(digests))
    found = {key: bytes(body) for key, body in rows.values_list("key", "body") if body is not None}
    return {key: body for key, body in found.items() if digest_of(body) == digests[key]}


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BackupError(
            f"The folder {folder} cannot be made ({error.strerror}): name another one, or set SPENDOPS_KV_BACKUPS."
        ) from error
    return folder


def _stem(store: Store) -> str:
    """How the names of a namespace's backups begin: readable, and of no other namespace."""
    readable = _UNFIT.sub("-", store.id.lower()).strip("-")[:60]
    return f"{store.env}-{readable}-{hashlib.sha256(store.id.encode()).hexdigest()[:6]}-"


def _forget_old(store: Store, folder: Path) -> None:
    """Keep the newest backups, and drop what killed runs left behind."""
    for _, path in backups_of(store, folder)[settings.KV_BACKUPS_KEPT :]:
        path.unlink(missing_ok=True)
    before = (timezone.now() - ABANDONED).timestamp()
    for path in unfinished_in(folder):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                path.unlink()
