"""The whole ring with real processes and official SDKs: `make smoke`, from its start to its last line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(300)
def test_the_main_job_end_to_end():
    done = subprocess.run(
        [sys.executable, "-m", "spendops.ring.smoke"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    failed = [step["step"] for step in result["steps"] if not step["ok"]]
    assert failed == [], done.stdout + done.stderr
    assert result["ok"] is True
    assert done.returncode == 0
    assert len(result["steps"]) == 16
    assert set(result["steps"][0]) == {"step", "ok", "seconds"}
