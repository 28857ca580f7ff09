"""`python -m spend.clickhouse.embedded`: serve the data folder on SPENDOPS_CLICKHOUSE_PORT until SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading

import structlog

from spend.clickhouse.embedded.server import EmbeddedServer
from wire.config import data_folder, local_secret
from wire.env import Env, SettingError
from wire.logs import configure_logging

logger = structlog.get_logger("spend.clickhouse.embedded")


def main() -> int:
    """Serve until a signal; 2 when a setting cannot be used."""
    env = Env()
    try:
        production = env.text("SPENDOPS_MODE") == "production"
        configure_logging(
            level=env.choice("SPENDOPS_LOG_LEVEL", "info", {"debug", "info", "warning", "error"}),
            form=env.choice("SPENDOPS_LOG_FORMAT", "json" if production else "console", {"json", "console"}),
        )
        port = env.port("SPENDOPS_CLICKHOUSE_PORT", 9010)
        data = data_folder(env)
        path = data / "clickhouse"
        password = local_secret(env, "SPENDOPS_CLICKHOUSE_PASSWORD", data, production=False)
        server = EmbeddedServer(path, port, password=password)
    except SettingError as error:
        print(f"spendops: {error}", file=sys.stderr)  # noqa: T201
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    logger.info("ready", port=port, path=str(path), pid=os.getpid())
    server.serve_forever(poll_interval=0.1)
    server.close()
    logger.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
