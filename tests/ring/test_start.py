"""`make run` on settings that cannot be used: one sentence that says what to do, and nothing is started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from secrets import token_urlsafe

import pytest

ROOT = Path(__file__).resolve().parents[2]


def start(data: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPENDOPS_")}
    return subprocess.run(
        [sys.executable, "-m", "spendops.ring.start"],
        cwd=ROOT,
        env=kept | {"SPENDOPS_DATA": str(data)} | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"SPENDOPS_DEBUG": "perhaps"}, "SPENDOPS_DEBUG='perhaps' is not yes or no: write SPENDOPS_DEBUG=true or"),
        (
            {"SPENDOPS_WEB_PORT": "80000"},
            "SPENDOPS_WEB_PORT='80000' cannot be used: write a whole number from 1 to 65535",
        ),
        ({"SPENDOPS_KV": "etcd"}, "SPENDOPS_KV='etcd' is not known: choose embedded, redis://host:6379/0 or"),
        ({"SPENDOPS_QUEUES": "kafka"}, "SPENDOPS_QUEUES='kafka' is not known: choose one of embedded"),
        ({"SPENDOPS_DATABASE_URL": "mysql://x/y"}, "SPENDOPS_DATABASE_URL has the engine 'mysql': write postgresql://"),
        ({"SPENDOPS_CLICKHOUSE_URL": "http://x"}, "SPENDOPS_CLICKHOUSE_URL has the engine 'http': write clickhouse://"),
        ({"SPENDOPS_MAIL_URL": "pop3://x"}, "SPENDOPS_MAIL_URL must begin with smtp:// or smtps://"),
        ({"SPENDOPS_PUBLIC_URL": "localhost:8000"}, "SPENDOPS_PUBLIC_URL='localhost:8000' is not an address"),
        ({"SPENDOPS_ENVIRONMENTS": "dev,Prod 1"}, "SPENDOPS_ENVIRONMENTS has 'Prod 1'"),
        ({"SPENDOPS_KEY_PEPPER_FILE": "/nowhere/at/all"}, "SPENDOPS_KEY_PEPPER_FILE='/nowhere/at/all' cannot be read"),
        ({"SPENDOPS_KEY_PEPPER": "short"}, "SPENDOPS_KEY_PEPPER is too short"),
        ({"SPENDOPS_SANDBOX_PORT": "8101"}, "Port 8101 is meant for both sandbox and gateway-dev"),
    ],
)
def test_a_bad_setting_stops_the_start_with_a_sentence(tmp_path, settings, sentence):
    done = start(tmp_path / "data", **settings)
    assert done.returncode == 2
    assert done.stderr.startswith(f"spendops: {sentence}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_port_in_use_is_named_with_its_setting(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start(tmp_path / "data", SPENDOPS_GATEWAY_PORT_DEV=str(port))
    assert done.returncode == 2
    assert f"Port {port} for gateway-dev is taken by another program" in done.stderr
    assert "SPENDOPS_GATEWAY_PORT_DEV" in done.stderr


def test_a_data_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = start(tmp_path / "file" / "data")
    assert done.returncode == 2
    assert "cannot be made (Not a directory): name a folder that you may write to" in done.stderr


def test_a_ring_that_still_runs_is_named(tmp_path):
    """As after `kill -9` of `make run`, whose supervisor goes on."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", "supervisord"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as still_running:
        (tmp_path / "ring.pid").write_text(str(still_running.pid))
        done = start(tmp_path)
        assert done.returncode == 2
        assert f"stop it with `kill {still_running.pid}`" in done.stderr


def test_production_refuses_what_is_insecure(tmp_path):
    secrets = ("SPENDOPS_KEY_PEPPER", "SPENDOPS_SECRET_KEY", "SPENDOPS_AUDIT_KEY", "SPENDOPS_ENVELOPE_KEY")
    production = {"SPENDOPS_MODE": "production"} | {name: token_urlsafe(48) for name in secrets}
    assert "SPENDOPS_KEY_PEPPER is not set" in start(tmp_path, SPENDOPS_MODE="production").stderr
    assert "https SPENDOPS_PUBLIC_URL" in start(tmp_path, **production).stderr
    https = {"SPENDOPS_PUBLIC_URL": "https://spend.example.com", "SPENDOPS_DEBUG": "true"}
    assert "SPENDOPS_DEBUG=false" in start(tmp_path, **production, **https).stderr
