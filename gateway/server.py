"""How the gateway and the sandbox are served: uvicorn on a socket of our own, drained when told to stop."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from wire.env import SettingError

_BACKLOG = 2048


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """Take a port. Raises SettingError, which names the setting, when somebody else has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            problem = "is taken by another program: stop that one or set another port"
        else:
            problem = f"cannot be used on {host} ({error.strerror}): set another port or SPENDOPS_BIND"
        raise SettingError(f"{setting}={port}: the port {problem}.") from error
    return listener


def serve(app: Callable[..., Any], listener: socket.socket, *, drain_seconds: int) -> int:
    """Serve until SIGTERM or SIGINT, then let the calls in flight end. Returns the exit code."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anybody can write that header: who may be believed is decided in gateway.incoming
        timeout_graceful_shutdown=drain_seconds,
        timeout_keep_alive=75,
        backlog=_BACKLOG,
    )
    # uvicorn raises the signal that ended it once more when it is done: by then there is nothing left to do.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    return 0 if server.started else 1
