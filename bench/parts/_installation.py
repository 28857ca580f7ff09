"""An installation of its own for a benchmark: a data folder, free ports, SQL with its schema."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.redis import redis_server


@contextmanager
def installation(*, redis: bool = False, **settings: str) -> Iterator[Path]:
    """Set Django up in this process on a temporary folder. With `redis`, KV is a Redis of its own."""
    from spendops.ring.smoke import environment

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spendops-bench-")))
        os.environ.update(environment(folder / "data") | settings)
        if redis:
            (folder / "redis").mkdir()
            os.environ["SPENDOPS_KV"] = stack.enter_context(redis_server(folder / "redis")).address
        import django

        django.setup()
        from spendops.ring.start import prepare_sql

        prepare_sql()
        yield folder


def say(measured: dict[str, Any]) -> None:
    """Print one measurement."""
    print(json.dumps(measured), flush=True)
