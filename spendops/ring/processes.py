"""The processes of the ring: what each runs, which port it takes, how one knows that it is up."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from wire.env import Env, SettingError

PYTHON = sys.executable
MANAGE = str(Path(__file__).resolve().parents[2] / "manage.py")
ENGINE = "clickhouse"
CELERY = (
    "celery -A spendops.celery worker --beat --pool threads --concurrency 2"
    " --loglevel warning --without-gossip --without-mingle"
)
GUNICORN = (
    "gunicorn spendops.wsgi:application --worker-class gthread --workers 1 --threads 8 --no-control-socket"
    " --limit-request-line 8190"  # the most: an address is a view, with all its filters
)


class Process(NamedTuple):
    """One process. `port` is 0 for those that listen on none; `health` is an address that answers 200 once it is up."""

    name: str
    command: tuple[str, ...]
    port: int = 0
    port_setting: str = ""
    health: str = ""


def processes(env: Env | None = None) -> list[Process]:
    """All processes of this installation, in the order in which they start."""
    env = env or Env()
    bind = env.text("SPENDOPS_BIND", "127.0.0.1")
    found: list[Process] = []
    if settings.CLICKHOUSE_EMBEDDED:
        engine = (PYTHON, "-m", "spend.clickhouse.embedded")
        found.append(Process(ENGINE, engine, settings.CLICKHOUSE_PORT, "SPENDOPS_CLICKHOUSE_PORT"))
    if env.flag("SPENDOPS_SANDBOX", default=not settings.PRODUCTION):
        port = env.port("SPENDOPS_SANDBOX_PORT", 8190)
        sandbox = (PYTHON, "-m", "gateway.sandbox")
        found.append(Process("sandbox", sandbox, port, "SPENDOPS_SANDBOX_PORT", f"http://127.0.0.1:{port}/health"))
    for name, port in settings.GATEWAY_PORTS.items():
        command = (PYTHON, "-m", "gateway", "--env", name)
        setting = f"SPENDOPS_GATEWAY_PORT_{name.upper()}"
        found.append(Process(f"gateway-{name}", command, port, setting, f"http://127.0.0.1:{port}/health"))
    web = settings.WEB_PORT
    found += [
        Process("publisher", (PYTHON, MANAGE, "publish")),
        Process("consumer-usage", (PYTHON, MANAGE, "consume", "usage")),
        Process("consumer-denials", (PYTHON, MANAGE, "consume", "denials")),
        Process(
            "worker",
            (PYTHON, "-m", *CELERY.split()),
        ),
        Process(
            "web",
            (PYTHON, "-m", *GUNICORN.split(), "--bind", f"{bind}:{web}"),
            web,
            "SPENDOPS_WEB_PORT",
            f"http://127.0.0.1:{web}/ready",
        ),
    ]
    return found


def refuse_taken_ports(found: list[Process]) -> None:
    """Raise SettingError with the first port that another program listens on, and the setting that moves it."""
    taken_by_us: dict[int, str] = {}
    for process in found:
        if not process.port:
            continue
        if process.port in taken_by_us:
            raise SettingError(
                f"Port {process.port} is meant for both {taken_by_us[process.port]} and {process.name}: "
                f"set {process.port_setting} to another one."
            )
        taken_by_us[process.port] = process.name
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", process.port))
            except OSError as error:
                raise SettingError(
                    f"Port {process.port} for {process.name} is taken by another program: stop that program, "
                    f"or set {process.port_setting} to a free port."
                ) from error
