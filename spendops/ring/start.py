"""`make run`: set the installation up, start the ring, say where things are; Ctrl-C stops everything."""

from __future__ import annotations

import argparse
import getpass
import json
import logging
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
import structlog
from django.conf import settings

from spendops.ring.processes import ENGINE, MANAGE, PYTHON, processes, refuse_taken_ports
from spendops.ring.supervisor import NotUpError, Ring, refuse_second_ring
from wire.env import SettingError

LEAST_PYTHON = (3, 11)


def manage(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run one of our commands and return what it printed. Raises NotUpError with its complaint when it fails."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and file
        [PYTHON, MANAGE, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | (environment or {}),
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise NotUpError(f"`manage.py {arguments[0]}` failed:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def manage_json(*arguments: str) -> dict[str, Any]:
    """Run a command with `--json` and read the line it printed; {} when it printed none."""
    printed = manage(*arguments, "--json")
    return dict(json.loads(printed.splitlines()[-1])) if printed else {}


def prepare_sql() -> None:
    """SQL schema and static files, before any process starts."""
    manage("migrate", "--no-input", "--verbosity", "0")
    manage("collectstatic", "--no-input", "--verbosity", "0")


def prepare_clickhouse(ring: Ring) -> None:
    """The engine and its schema."""
    if ENGINE in ring.processes:
        ring.start(ENGINE)
    manage("migrate_clickhouse")


def start_everything(ring: Ring) -> None:
    """All processes but the engine, side by side."""
    ring.start(*(name for name in ring.processes if name != ENGINE))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description="Set up and start the whole ring.")
    parser.add_argument("--demo", action="store_true", help="with two tenants and 90 days of believable usage")
    options = parser.parse_args()
    try:
        if sys.version_info < LEAST_PYTHON:
            raise SettingError(f"Python {platform.python_version()} is too old: use 3.11 or newer.")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spendops.settings")
        django.setup()
        found = processes()
        refuse_second_ring(settings.SPENDOPS.data)
        refuse_taken_ports(found)
        for number in (
            signal.SIGTERM,
            signal.SIGINT,
        ):  # a script starts what it puts into the background deaf to SIGINT
            signal.signal(number, _interrupt)
        return _run(found, demo=options.demo)
    except SettingError as error:
        print(f"spendops: {error}", file=sys.stderr)
        return 2
    except NotUpError as error:
        print(f"spendops: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0


def _run(found: list[Any], *, demo: bool) -> int:
    prepare_sql()
    with Ring(found, data=settings.SPENDOPS.data) as ring:
        prepare_clickhouse(ring)
        if demo:
            # models can be imported once Django is set up
            from spendops.ring.demo_prices import begin_with_earlier_prices

            # what the demo does here is told in one line, not in those of a log
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
            begin_with_earlier_prices(today=datetime.now(UTC).date())
        synced = manage_json("sync_prices")
        manage("sync_rates", "--offline")  # the timetable asks for newer ones, where there is a network
        print(
            f"✓ Python {sys.version_info.major}.{sys.version_info.minor}  ✓ packages{_packages_seconds()}  "
            f"✓ {synced['models']:,} models priced, offline",
            flush=True,
        )
        start_everything(ring)
        if demo:
            from spendops.ring.demo import make_demo

            print(f"✓ {make_demo()}", flush=True)
        ports = "  ".join(f"gateway {name} :{port}" for name, port in settings.GATEWAY_PORTS.items())
        print(f"✓ web :{settings.WEB_PORT}  {ports}")
        _say_ready()
        _watch(ring)
    return 1


def _say_ready() -> None:
    first = next(iter(settings.GATEWAY_PORTS.values()))
    tunnel = f"ssh -L {settings.WEB_PORT}:localhost:{settings.WEB_PORT} -L {first}:localhost:{first} "
    print(
        f"Ready. {settings.PUBLIC_URL}          On another machine? {tunnel}{getpass.getuser()}@{socket.gethostname()}"
    )
    link = manage_json("bootstrap_admin", "--if-needed")
    if link:
        print(f"First admin (once, 30 min): {link['url']}")
    else:
        print(f"Sign in with your passkey:  {settings.PUBLIC_URL}/sign-in")
    print("Next: 1 issue a key   2 run the curl line beside it   3 watch /spend")
    print(f"Logs: {settings.SPENDOPS.data / 'logs'}   Stop: Ctrl-C", flush=True)


def _watch(ring: Ring) -> None:
    """Tell of processes that die and of their return, until the supervisor or the user ends it."""
    down: set[str] = set()
    while True:
        time.sleep(1)
        try:
            now = set(ring.down())
        except OSError as error:
            raise NotUpError(f"The supervisor ended; see {ring.logs / 'supervisor.log'}.") from error
        for name in sorted(now - down):
            print(f"! {name} is down and is being started again; its log: {ring.logs / name}.log", flush=True)
        for name in sorted(down - now):
            print(f"✓ {name} is up again", flush=True)
        down = now


def _packages_seconds() -> str:
    """How long the installation of packages took, when this run did it (`make setup` leaves the figure)."""
    stamp = Path(sys.prefix) / "spendops-setup-seconds"
    try:
        seconds = stamp.read_text(encoding="utf-8").strip()
        stamp.unlink()
    except OSError:
        return ""
    return f" {seconds} s"


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
