"""The worker and the process of its timetable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.gateway.peers import ROOT, wait_for


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_worker_leaves_no_timetable_behind(tmp_path):
    """Each that stayed would ask for every job once more."""
    command = [sys.executable, "-m", "celery", "-A", "spendops.celery", "worker", "--beat", "--pool", "threads"]
    environment = {"PATH": os.environ["PATH"], "SPENDOPS_DATA": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [*command, "--concurrency", "1", "--loglevel", "critical"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        beat = wait_for(lambda: next(iter(children_of(worker.pid)), None), "the timetable's process", 60)
        wait_for(lambda: len(list(Path(f"/proc/{beat}/task").iterdir())) > 1, "what it watches its parent with", 60)
    finally:
        worker.kill()
        worker.wait()
    wait_for(lambda: not Path(f"/proc/{beat}").exists(), "its end", 60)
