"""`python -m gateway --env dev`: serve one environment until told to stop."""

from __future__ import annotations

import argparse
import signal
import sys

import structlog

from gateway.app import Gateway
from gateway.config import Settings
from gateway.server import listen, serve
from wire.env import SettingError
from wire.logs import configure_logging


def main(arguments: list[str] | None = None) -> int:
    """Run the gateway. Returns the exit code: 2 for a setting that cannot be used, said in one sentence."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description="SpendOps' gateway for one environment.")
    parser.add_argument("--env", required=True, help="the environment to serve, such as dev")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # before the server takes the signal over
    try:
        settings = Settings.load(asked.env)
        configure_logging(level=settings.log_level, form=settings.log_format)
        structlog.contextvars.bind_contextvars(plane="gateway", env=settings.env)
        listener = listen(settings.host, settings.port, setting=settings.port_setting)
        gateway = Gateway(settings)
    except SettingError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the one sentence that the person who started it reads
        return 2
    return serve(gateway, listener, drain_seconds=settings.timeouts.drain)


if __name__ == "__main__":
    sys.exit(main())
