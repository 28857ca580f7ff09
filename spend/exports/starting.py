"""Files are written in a process of their own: many minutes of work that nothing else in the worker waits for."""

from __future__ import annotations

import subprocess
import sys
import threading

from django.conf import settings

from spend.exports.run import waiting

_lock = threading.Lock()
_running: subprocess.Popen[bytes] | None = None


def start_when_needed() -> bool:
    """Start a process that writes what waits, unless ours still does. Whether one was started."""
    global _running
    with _lock:
        if _running is not None and _running.poll() is None:
            return False
        _running = None
        if not waiting():
            return False
        manage = str(settings.BASE_DIR / "manage.py")
        _running = subprocess.Popen([sys.executable, manage, "work_off_exports"], stdin=subprocess.DEVNULL)  # noqa: S603
        return True
