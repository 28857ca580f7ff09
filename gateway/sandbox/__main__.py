"""`python -m gateway.sandbox`: serve the sandbox provider on this machine until told to stop."""

from __future__ import annotations

import sys

from gateway.config import sandbox_port
from gateway.sandbox.app import Sandbox
from gateway.server import listen, serve
from wire.env import Env, SettingError
from wire.logs import configure_logging

_DRAIN_SECONDS = 2


def main() -> int:
    """Run the sandbox. Returns the exit code: 2 for a setting that cannot be used, said in one sentence."""
    env = Env()
    try:
        configure_logging(
            level=env.choice("SPENDOPS_LOG_LEVEL", "info", {"debug", "info", "warning", "error"}),
            form=env.choice("SPENDOPS_LOG_FORMAT", "console", {"json", "console"}),
        )
        listener = listen("127.0.0.1", sandbox_port(env), setting="SPENDOPS_SANDBOX_PORT")
    except SettingError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the one sentence that the person who started it reads
        return 2
    return serve(Sandbox(), listener, drain_seconds=_DRAIN_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
