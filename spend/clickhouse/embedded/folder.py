"""The engine's data folder, and the lock that keeps a second process out of it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from wire.env import SettingError


class FolderLock:
    """Held as long as the process lives: the operating system gives it up, also after kill -9."""

    def __init__(self, folder: Path) -> None:
        """Make the folder and lock it. Raises SettingError when it is in use or cannot be made."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # beside the folder, for what lies inside is the engine's
            self._file = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SettingError(
                f"The embedded ClickHouse cannot use {folder} ({error.strerror}): "
                "make it writable, or set SPENDOPS_DATA to another folder."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise SettingError(
                f"Another embedded ClickHouse is already running on {folder}: stop it, "
                "or set SPENDOPS_DATA to another folder."
            ) from error

    def release(self) -> None:
        os.close(self._file)
