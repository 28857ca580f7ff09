"""The worker and the process of its timetable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.gateway.peers import ROOT, wait_for


def timetable_of(pid: int) -> int | None:
    """The child that has begun to watch its parent, in a thread; a worker has short-lived children, too."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            if len(list(Path(f"/proc/{child}/task").iterdir())) > 1:
                return int(child)
        except FileNotFoundError:
            continue
    return None


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
        beat = wait_for(lambda: timetable_of(worker.pid), "the timetable's process", 60)
    finally:
        worker.kill()
        worker.wait()
    wait_for(lambda: not Path(f"/proc/{beat}").exists(), "its end", 60)
