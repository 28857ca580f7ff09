"""`manage.py publish` as it really runs: processes of their own, on a data folder of their own."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from tests.tenants.making import make_tenant
from wire.documents import KeyStatus, decode_key
from wire.kv.embedded import EmbeddedKV

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts programs on an installation of the test's own; whatever still runs at the end is killed."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SPENDOPS_")},
        "SPENDOPS_DATA": str(tmp_path),
        "SPENDOPS_LOG_LEVEL": "warning",
        "DJANGO_SETTINGS_MODULE": "spendops.settings",
    }
    begun: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    finished(run("manage.py", "migrate", "--no-input", "--verbosity", "0"))
    yield run
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finished(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=90)
    assert process.returncode == 0, errors
    return out


@contextmanager
def store(folder: Path, env: str) -> Iterator[EmbeddedKV]:
    kv = EmbeddedKV(folder / env / "kv.sqlite3")
    try:
        yield kv
    finally:
        kv.close()


def test_what_is_committed_is_in_the_store_at_once_and_sigterm_ends_it_cleanly(start, tmp_path):
    publisher = start("manage.py", "publish")
    waits = json.loads(finished(start("-m", "tests.publishing.commits", "Acme", "20")))
    assert statistics.median(waits[2:]) < 250, waits
    publisher.send_signal(signal.SIGTERM)
    out, errors = publisher.communicate(timeout=10)
    assert (publisher.returncode, out, errors) == (0, "", "")


def test_two_publishers_and_one_of_them_is_killed(start, tmp_path):
    first, second = start("manage.py", "publish"), start("manage.py", "publish")
    writers = [start("-m", "tests.publishing.commits", f"Tenant {number}", "10") for number in range(2)]
    first.send_signal(signal.SIGKILL)
    for writer in writers:
        assert len(json.loads(finished(writer))) == 20
    second.send_signal(signal.SIGTERM)
    finished(second)
    with store(tmp_path, "dev") as kv:
        held = [decode_key(entry.body) for entry in kv.list("key:").entries if entry.body]
    assert len(held) == 20
    assert {(policy.status, policy.rev) for policy in held} == {(KeyStatus.REVOKED, 2)}


def test_what_was_committed_while_no_publisher_ran_is_not_lost(start, tmp_path):
    issued = json.loads(finished(start("manage.py", "create_tenant", "Acme", "--json")))
    key = json.loads(
        finished(start("manage.py", "issue_key", "--tenant", issued["id"], "--name", "bot", "--env", "prod", "--json"))
    )
    assert json.loads(finished(start("manage.py", "publish", "--once", "--json"))) == {
        "published": 3,
        "failed": 0,
        "waiting": 0,
    }
    with store(tmp_path, "prod") as kv:
        assert [decode_key(entry.body).key for entry in kv.list("key:").entries] == [key["id"]]
    with store(tmp_path, "dev") as kv:
        assert kv.list("key:").entries == []


@pytest.mark.django_db
def test_once_ends_with_an_error_when_a_namespace_is_refused(stores):
    stores.reader("dev").add("meta:env", b'{"schema":1,"env":"prod"}')
    make_tenant()
    out = StringIO()
    with pytest.raises(CommandError, match="configured for dev belongs to prod"):
        call_command("publish", "--once", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"published": 1, "failed": 0, "waiting": 1}
