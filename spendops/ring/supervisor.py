"""Supervisor (supervisord.org) as the keeper of the ring: starts, restarts what dies, stops everything."""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from spendops.ring.processes import ENGINE, Process
from wire.env import SettingError

START_SECONDS = 60
STOP_SECONDS = 15


class NotUpError(RuntimeError):
    """A process did not come up; the message has the end of its log."""


class Ring:
    """The processes of one installation under one supervisor. A context manager: leaving it stops them all."""

    def __init__(self, found: list[Process], *, data: Path, environment: dict[str, str] | None = None) -> None:
        self.processes = {process.name: process for process in found}
        self.logs = data / "logs"
        self._pid_file = data / "ring.pid"
        self._environment = os.environ | (environment or {})
        self._folder = Path(tempfile.mkdtemp(prefix="spendops-ring-"))  # a socket's path may have 107 bytes only
        self._supervisord: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Ring:
        self.logs.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "supervisord.conf"
        configuration.write_text(self._configuration(), encoding="utf-8")
        command = [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(configuration)]
        self._supervisord = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        self._pid_file.write_text(str(self._supervisord.pid), encoding="utf-8")
        wait_until(self._answers, START_SECONDS, "The supervisor did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._pid_file.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _rpc(self) -> Any:
        """A connection for each call: one that failed once stays broken."""
        transport = SupervisorTransport(None, None, f"unix://{self._folder / 'rpc.sock'}")
        return ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def start(self, *names: str) -> None:
        """Start processes and wait until each is up. Raises NotUpError with the end of the log of one that is not."""
        for name in names:
            self._rpc.startProcess(self._full_name(name), False)
        for name in names:
            self.wait_up(name)

    def wait_up(self, name: str, seconds: float = START_SECONDS) -> None:
        """Wait until a process runs and, where it has an address for that, answers."""
        process = self.processes[name]

        def up() -> bool:
            state = self._rpc.getProcessInfo(self._full_name(name))["statename"]
            if state in ("BACKOFF", "FATAL", "EXITED"):
                raise NotUpError(f"{name} ended at once. Its log ({self._log(name)}) ends with:\n{self.log_end(name)}")
            return state == "RUNNING" and (not process.health or _answers(process.health))

        wait_until(up, seconds, f"{name} did not come up within {seconds:.0f} s; see {self._log(name)}")

    def stop(self) -> None:
        """Stop everything and wait for the end. Raises NotUpError when something had to be killed."""
        if self._supervisord is None or self._supervisord.poll() is not None:
            return
        self._supervisord.send_signal(signal.SIGTERM)
        try:
            self._supervisord.wait(timeout=STOP_SECONDS * 2)
        except subprocess.TimeoutExpired:
            self._supervisord.kill()
            raise NotUpError(f"The ring did not stop in time; see {self.logs / 'supervisor.log'}.") from None

    def pid(self, name: str) -> int:
        """The process id; 0 while it is down."""
        return int(self._rpc.getProcessInfo(self._full_name(name))["pid"])

    def wait_restarted(self, name: str, pid: int) -> None:
        """Wait until a process that died as `pid` runs again."""
        wait_until(lambda: self.pid(name) not in (0, pid), START_SECONDS, f"{name} was not started again")
        self.wait_up(name)

    def down(self) -> list[str]:
        """The processes that do not run just now."""
        return [each["name"] for each in self._rpc.getAllProcessInfo() if each["statename"] != "RUNNING"]

    def wait(self) -> int:
        """Wait until the supervisor ends; its exit code."""
        if self._supervisord is None:
            raise RuntimeError("The ring was not entered.")
        return self._supervisord.wait()

    def log_end(self, name: str, lines: int = 12) -> str:
        """The last lines of a process's log."""
        try:
            return "\n".join(self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException, Fault):
            return bool(self._rpc.getState()["statename"] == "RUNNING")
        return False

    def _configuration(self) -> str:
        folder = str(self._folder).replace("%", "%%")
        parts = [
            f"[unix_http_server]\nfile={folder}/rpc.sock\nchmod=0700",
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
            f"[supervisord]\nlogfile={self.logs}/supervisor.log\nlogfile_maxbytes=5MB\nlogfile_backups=1\n"
            f"pidfile={folder}/supervisord.pid\nnodaemon=true\nloglevel=info"
            + ("\nuser=root" if os.getuid() == 0 else ""),
        ]
        for process in self.processes.values():
            command = shlex.join(process.command).replace("%", "%%")
            parts.append(
                f"[program:{process.name}]\ncommand={command}\nautostart=false\nautorestart=true\nstartsecs=1\n"
                f"startretries=1000\nstopsignal=TERM\nstopwaitsecs={STOP_SECONDS}\nredirect_stderr=true\n"
                f"stdout_logfile={self._log(process.name)}\nstdout_logfile_maxbytes=10MB\nstdout_logfile_backups=2"
            )
        for number, (group, names) in enumerate(self._groups().items()):
            parts.append(f"[group:{group}]\nprograms={','.join(names)}\npriority={number}")
        return "\n\n".join(parts) + "\n"

    def _groups(self) -> dict[str, list[str]]:
        """Groups end one after the other, the last first, and their processes at once: the engine ends last."""
        found: dict[str, list[str]] = {}
        for name in self.processes:
            found.setdefault(_group(name), []).append(name)
        return found

    @staticmethod
    def _full_name(name: str) -> str:
        return f"{_group(name)}:{name}"


def refuse_second_ring(data: Path) -> None:
    """Raise SettingError when a ring still runs on a data folder, as one does whose terminal was killed."""
    try:
        pid = int((data / "ring.pid").read_text(encoding="utf-8"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return
    if b"supervisord" in command:
        raise SettingError(
            f"A ring already runs on {data} (its supervisor is process {pid}): stop it with `kill {pid}`, "
            "or set SPENDOPS_DATA and the ports to others."
        )


def _group(name: str) -> str:
    return "engine" if name == ENGINE else "ring"


def wait_until(condition: Callable[[], bool], seconds: float, otherwise: str, *, every: float = 0.05) -> None:
    """Wait until something holds. Raises NotUpError with the sentence given when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotUpError(f"{otherwise}.")
        time.sleep(every)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of our own
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False
