"""Spend: how fast events are stored, and how soon pages are answered, over a year of calls of 500 tenants.

`SPENDOPS_BENCH_EVENTS` says how many events; 20 million when left out. The whole takes up to half an hour.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

EVENTS = "SPENDOPS_BENCH_EVENTS"


def run() -> Iterator[dict[str, Any]]:
    """Yield the measurements. The part has a process of its own, as Django is set up once a process."""
    clean = {name: value for name, value in os.environ.items() if name == EVENTS or not name.startswith("SPENDOPS_")}
    command = [sys.executable, "-m", "bench.parts.spend", os.environ.get(EVENTS, "20000000")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean) as part:
        assert part.stdout is not None
        for printed in part.stdout:
            yield json.loads(printed)
    if part.returncode:
        raise SystemExit("The part spend failed.")
