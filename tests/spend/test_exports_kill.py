"""A process that writes an export is killed with SIGKILL; another begins the file anew."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as known
from django.db import connection
from django.utils import timezone

from spend.exports.run import work_off_all
from spend.models import Export
from tests.spend.conftest import count, tenant
from tests.spend.events import TENANT, usage
from tests.spend.exported import again, begun, rows_of, wanted
from tests.spend.test_exports import FIRST, LAST, NOON

pytestmark = pytest.mark.django_db(transaction=True)

# writes a block, says so, and then waits for its end
WORKER = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "spendops.settings"
from django.conf import settings
database, clickhouse, exports, job = sys.argv[1:]
settings.DATABASES["default"]["NAME"] = database
settings.CLICKHOUSE_URL, settings.EXPORTS = clickhouse, exports
import django
django.setup()
from spend.exports import run
from spend.queries import streams
run._TELL_SECONDS, streams.BLOCK = 0, 3
run.work_off(job, told=lambda job: (print(job.rows, flush=True), job.rows and sys.stdin.read()))
"""


def test_killed_for_real_it_is_written_anew_by_the_next(queues, clickhouse, settings, tmp_path):
    settings.EXPORTS = folder = tmp_path / "exports"
    tenant(TENANT)
    count([usage(number, NOON + timedelta(hours=number)) for number in range(30)])
    job = begun(wanted("usage", FIRST, LAST))
    arguments = [connection.settings_dict["NAME"], known.CLICKHOUSE_URL, str(folder), job.pk]
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=known.BASE_DIR,
    )
    try:
        assert process.stdout is not None
        written = next(int(line) for line in process.stdout if line.strip() not in ("", "0"))
        assert 0 < written < 30
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
        for stream in (process.stdin, process.stdout):
            stream.close()
    assert again(job).status == Export.Status.RUNNING
    assert len(list(folder.glob("*/*.part"))) == 1
    assert work_off_all() == 0
    with time_machine.travel(timezone.now() + timedelta(seconds=100)):
        assert work_off_all() == 1
    assert len(rows_of(again(job))) == 30
    assert again(job).file in {path.name for path in folder.glob("*/*.csv")}
