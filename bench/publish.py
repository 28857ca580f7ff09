"""Publishing: how soon a revocation holds under load, what everything anew takes, what 100,000 keys cost the pages.

Each part has a process of its own, as Django is set up once a process: `python -m bench.parts.revocations redis`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

PARTS = (
    ("revocations", "embedded"),
    ("revocations", "redis"),
    ("republish",),
    ("cloudflare",),
    ("many_keys",),
)


def run() -> Iterator[dict[str, Any]]:
    """Yield the measurements of all parts."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SPENDOPS_")}
    for module, *arguments in PARTS:
        command = [sys.executable, "-m", f"bench.parts.{module}", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean) as part:
            assert part.stdout is not None
            for printed in part.stdout:
                yield json.loads(printed)
        if part.returncode:
            raise SystemExit(f"The part {' '.join([module, *arguments])} failed.")
