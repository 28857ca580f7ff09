"""Heads of the audit chain, kept outside its table: how many events there were, and the last one's digest.

One JSON object a line. Each has an HMAC of its own, so that whoever can write the file still cannot make up a line.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from django.conf import settings
from django.utils import timezone

from changes.chain import last_link
from changes.models import AuditEvent


class HeadsError(Exception):
    """The file of heads cannot be believed; the text names the line."""


class Head(msgspec.Struct, frozen=True):
    """`count` events stood in the table, the newest with id `seq`."""

    seq: int
    count: int
    digest: str
    at: datetime
    mac: str = ""


def note_head() -> Head:
    """Append the chain's present end to the file of heads, and wait until the disk has it. Raises OSError."""
    end = last_link()
    number = AuditEvent.objects.filter(id__lte=end.id).count()
    head = Head(seq=end.id, count=number, digest=end.digest, at=timezone.now())
    head = msgspec.structs.replace(head, mac=_mac(head))
    _append(settings.AUDIT_HEADS, msgspec.json.encode(head) + b"\n")
    return head


def read_heads(path: Path) -> Iterator[Head]:
    """All heads, the oldest first; none when there is no file yet. Raises HeadsError."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                head = msgspec.json.decode(line, type=Head)
            except msgspec.DecodeError as error:
                raise HeadsError(f"Line {number} of {path} is not a head: {error}.") from error
            if not hmac.compare_digest(head.mac, _mac(head)):
                raise HeadsError(f"Line {number} of {path} was not written with this audit key, or was changed.")
            yield head


def _mac(head: Head) -> str:
    said = [head.seq, head.count, head.digest, head.at.isoformat()]
    return hmac.digest(settings.AUDIT_KEY.encode(), b"head:" + msgspec.json.encode(said), "sha256").hex()


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if new:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """A new file's name is on the disk only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
