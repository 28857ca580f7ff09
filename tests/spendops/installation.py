"""An installation of a test's own: real processes on a data folder and a database, each with its output in a file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.authenticator import Authenticator
from tests.gateway.peers import ROOT, wait_for
from tests.ports import free_port

CSRF = re.compile(r'<meta name="csrf-token" content="([^"]+)">')


class Installation:
    """`data` is its folder; `logs` holds what its processes wrote, at debug level."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.data, self.logs = folder / "data", folder / "logs"
        self.logs.mkdir(parents=True)
        self.web_port, self.gateway_port = free_port(), free_port()
        self.web = f"http://localhost:{self.web_port}"
        self.gateway = f"http://127.0.0.1:{self.gateway_port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "SPENDOPS_DATA": str(self.data),
            "SPENDOPS_LOG_LEVEL": "debug",
            "SPENDOPS_PUBLIC_URL": self.web,
            "SPENDOPS_GATEWAY_PORT_DEV": str(self.gateway_port),
            "SPENDOPS_GATEWAY_URL_PROD": "http://prod.localhost:8102",
            "DJANGO_SETTINGS_MODULE": "spendops.settings",
            **settings,
        }
        self._running: list[subprocess.Popen[bytes]] = []
        self.manage("migrate", "--no-input", "--verbosity", "0")

    def manage(self, *arguments: str) -> str:
        """Run a command to its end; what it printed. What it logged is kept with the rest."""
        with (self.logs / f"{arguments[0]}.log").open("ab") as log:
            done = subprocess.run(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, (self.logs / f"{arguments[0]}.log").read_text()
        return done.stdout

    def start(self, name: str, *module: str, ready: str = "") -> None:
        """Start a program of ours; with `ready`, wait until that address answers 200."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *module], cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        self._running.append(process)

        def answers() -> bool:
            assert process.poll() is None, (self.logs / f"{name}.log").read_text()
            try:
                return httpx.get(ready, timeout=2).status_code == 200
            except httpx.TransportError:
                return False

        if ready:
            wait_for(answers, f"{name} answering at {ready}", 60)

    def start_web(self, application: str) -> None:
        self.manage("collectstatic", "--no-input", "--verbosity", "0")
        gunicorn = f"-m gunicorn {application} --worker-class gthread --threads 4 --no-control-socket"
        logging = "--log-level debug --access-logfile -"
        self.start(
            "web",
            *f"{gunicorn} {logging} --bind 127.0.0.1:{self.web_port}".split(),
            ready=f"http://127.0.0.1:{self.web_port}/health",
        )

    def start_gateway(self) -> None:
        self.start("gateway", "-m", "gateway", "--env", "dev", ready=f"{self.gateway}/health")

    def end(self) -> None:
        """End all processes, so that what they had in memory is written."""
        for process in reversed(self._running):
            process.terminate()
        for process in reversed(self._running):
            process.wait(30)
        self._running.clear()


class Browser:
    """A person at a browser, over HTTP, with a passkey in software."""

    def __init__(self, site: str) -> None:
        self.site = site
        self._http = httpx.Client(base_url=site, headers={"accept": "text/html"}, timeout=30)
        self._authenticator = Authenticator(origin=site)
        self._csrf = ""

    def get(self, path: str) -> str:
        answer = self._http.get(path, follow_redirects=True)
        found = CSRF.search(answer.text)
        if found:
            self._csrf = found[1]
        return answer.text

    def post(self, path: str, fields: dict[str, str]) -> httpx.Response:
        return self._http.post(path, data=fields, headers={"X-CSRFToken": self._csrf})

    def send(self, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Post JSON, as the page's script does."""
        asked = {"X-CSRFToken": self._csrf, "accept": "application/json", **headers}
        answer = self._http.post(path, json=body, headers=asked)
        assert answer.status_code in (200, 201), answer.text
        found = dict(answer.json())
        self._csrf = found.get("csrf", self._csrf)
        return found

    def enrol(self, token: str) -> None:
        self.get("/enrol")
        begun = self.send("/enrol/begin", {"token": token, "name": "Test"})
        credential = self._authenticator.create(begun["options"])
        self.send("/enrol/finish", {"token": token, "name": "Test", "credential": credential})

    def step_up(self) -> None:
        begun = self.send("/step-up/begin", {})
        if not begun["fresh"]:
            self.send("/step-up/finish", {"credential": self._authenticator.get(begun["options"])})

    @property
    def session(self) -> str:
        """What the session's cookie holds."""
        return str(self._http.cookies["session"])

    def close(self) -> None:
        self._http.close()
