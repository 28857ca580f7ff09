"""Where files of exports lie: a folder a tenant, below the one that is set."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path

from django.conf import settings

from spend.exports.formats import KEPT
from spend.exports.wanted import Format
from spend.models import Export

UNFINISHED = ".part"
_FORGOTTEN_SECONDS = 24 * 3600  # a file that no export names is deleted after so long
_CHUNK = 1 << 20


def folder_of(tenant_id: str) -> Path:
    """The tenant's folder, made when it is not there. Only our own user may look into it."""
    folder = Path(settings.EXPORTS) / tenant_id
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def file_of(export: Export) -> Path | None:
    """The export's file; None when there is none."""
    path = Path(settings.EXPORTS) / export.tenant_id / export.file if export.file else None
    return path if path is not None and path.is_file() else None


def name_for(export: Export, *, tenant_name: str, first: str, last: str) -> str:
    """What the file is called where it is downloaded: plain letters, digits, dots and dashes."""
    whose = re.sub(r"[^a-z0-9]+", "-", tenant_name.lower()).strip("-")[:40] or export.tenant_id
    partial = "-partial" if export.partial else ""
    return f"spendops-{whose}-{export.kind}-{first}-to-{last}{partial}{KEPT[Format(export.format)].suffix}"


def remove(export: Export) -> None:
    """Delete the export's file."""
    if export.file:
        (Path(settings.EXPORTS) / export.tenant_id / export.file).unlink(missing_ok=True)


def digest_of(path: Path) -> str:
    """The file's SHA-256, as 64 hexadecimal digits."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def finish(unfinished: Path, path: Path) -> None:
    """Put a file in its place, whole and on the disk, or not at all."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def forgotten(named: set[str]) -> list[Path]:
    """Files that no export names, and that nobody has written to for a day: whoever wrote them was killed."""
    root, long_ago = Path(settings.EXPORTS), time.time() - _FORGOTTEN_SECONDS
    if not root.is_dir():
        return []
    return [
        path
        for path in root.glob("*/*")
        if path.is_file() and path.name not in named and path.stat().st_mtime < long_ago
    ]
