"""The process: its settings, its ports, and what it must never touch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.config import Settings
from tests.gateway.peers import ROOT, GatewayUnderTest, wait_for
from tests.ports import free_port
from wire.env import Env, SettingError


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={"PATH": os.environ["PATH"], **env}, capture_output=True,
        text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"SPENDOPS_SANDBOX": "perhaps"}, "SPENDOPS_SANDBOX='perhaps' is not yes or no"),
        ({"SPENDOPS_GATEWAY_PORT_DEV": "99999"}, "SPENDOPS_GATEWAY_PORT_DEV='99999'"),
        ({"SPENDOPS_PROVIDER_OPENAI_BASE_URL": "api.openai.com"}, "SPENDOPS_PROVIDER_OPENAI_BASE_URL"),
        ({"SPENDOPS_PROVIDER_X_AI_BASE_URL": "https://me:secret@api.x.ai/v1"}, "SPENDOPS_PROVIDER_X_AI_BASE_URL"),
        ({"SPENDOPS_PROVIDER_OPENAI_BASE_URL": "http://h:port/v1"}, "SPENDOPS_PROVIDER_OPENAI_BASE_URL"),
        ({"SPENDOPS_PROVIDER_OPENAI_API_KEY_FILE": "/nowhere"}, "SPENDOPS_PROVIDER_OPENAI_API_KEY_FILE='/nowhere'"),
        ({"SPENDOPS_PROVIDER_OPENAI_API_KEY": "sk-a b"}, "SPENDOPS_PROVIDER_OPENAI_API_KEY"),
        ({"SPENDOPS_KV": "memcached"}, "SPENDOPS_KV='memcached' is not known"),
        (
            {"SPENDOPS_KV_DEV": "cloudflare://acc/ns", "SPENDOPS_CLOUDFLARE_API_TOKEN": "a token of Cloudflare's"},
            "No gateway can read the stores of dev",
        ),
        ({"SPENDOPS_KV_STALE_SECONDS": "-1"}, "SPENDOPS_KV_STALE_SECONDS='-1'"),
        ({"SPENDOPS_METRICS_TOKEN": "short"}, "SPENDOPS_METRICS_TOKEN cannot be used"),
        ({"SPENDOPS_DATA": "/proc/nowhere"}, "SPENDOPS_DATA="),
        ({"SPENDOPS_BIND": "203.0.113.7"}, "SPENDOPS_GATEWAY_PORT_DEV="),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start_with_a_sentence(tmp_path, settings, says):
    environment = {"SPENDOPS_DATA": str(tmp_path), "SPENDOPS_GATEWAY_PORT_DEV": str(free_port())} | settings
    ended = run("-m", "gateway", "--env", "dev", **environment)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "secret" not in ended.stderr


def test_an_environment_that_does_not_exist(tmp_path):
    ended = run("-m", "gateway", "--env", "staging", SPENDOPS_DATA=str(tmp_path))
    assert (ended.returncode, "choose one of dev, prod" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("module", "setting"),
    [(("gateway", "--env", "prod"), "SPENDOPS_GATEWAY_PORT_PROD"), (("gateway.sandbox",), "SPENDOPS_SANDBOX_PORT")],
)
def test_a_port_that_is_taken(tmp_path, module, setting):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run("-m", *module, **{"SPENDOPS_DATA": str(tmp_path), setting: port})
    assert ended.returncode == 2
    assert f"{setting}={port}: the port is taken" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def load(tmp_path, environment: str = "dev", **values: str) -> Settings:
    return Settings.load(environment, Env({"SPENDOPS_DATA": str(tmp_path), **values}))


def test_ports_follow_the_order_of_the_environments(tmp_path):
    assert [load(tmp_path, name).port for name in ("dev", "prod")] == [8101, 8102]
    assert load(tmp_path, "qa", SPENDOPS_ENVIRONMENTS="qa,dev").port == 8101


def test_a_provider_with_no_credential_is_the_sandbox_and_only_where_that_is_wanted(tmp_path):
    own = load(tmp_path, SPENDOPS_PROVIDER_OPENAI_API_KEY="sk-x", SPENDOPS_SANDBOX_PORT="8200")
    assert (own.providers["openai"].sandbox, own.providers["openai"].base_url) == (False, "https://api.openai.com/v1")
    assert own.providers["mistral"].base_url == "http://127.0.0.1:8200/v1"
    assert own.providers["mistral"].credential == "sandbox"
    assert "sk-x" not in repr(own)
    local = load(tmp_path, SPENDOPS_PROVIDER_MISTRAL_BASE_URL="http://127.0.0.1:9/v1/")
    assert (local.providers["mistral"].base_url, local.providers["mistral"].credential) == ("http://127.0.0.1:9/v1", "")
    assert load(tmp_path, SPENDOPS_SANDBOX="no").providers == {}
    production = {"SPENDOPS_MODE": "production", "SPENDOPS_KEY_PEPPER": "a-pepper-of-many-different-letters-0123456789"}
    assert load(tmp_path, **production).providers == {}
    with pytest.raises(SettingError, match="https"):
        load(tmp_path, **production, SPENDOPS_PROVIDER_OPENAI_BASE_URL="http://api.example.com/v1")


def test_a_credential_may_come_from_a_file(tmp_path):
    secret = tmp_path / "openai"
    secret.write_text("sk-from-file\n")
    provider = load(tmp_path, SPENDOPS_PROVIDER_OPENAI_API_KEY_FILE=str(secret)).providers["openai"]
    assert provider.credential == "default"


def test_the_gateway_imports_nothing_of_the_management_plane():
    script = (
        "import pkgutil, importlib, sys, gateway\n"
        "for m in pkgutil.walk_packages(gateway.__path__, 'gateway.'):\n"
        "    '__main__' in m.name or importlib.import_module(m.name)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    ended = run("-c", script)
    assert ended.returncode == 0, ended.stderr
    imported = set(ended.stdout.split())
    assert {"gateway", "wire", "aiohttp"} <= imported
    forbidden = {"django", "clickhouse_driver", "chdb", "psycopg", "celery", "spendops", "publishing", "alerts",
                 "budgets", "spend", "pricing", "tenants", "access", "changes", "genai_prices"}  # fmt: skip
    assert imported & forbidden == set()


def test_a_working_gateway_opens_its_own_environments_stores_and_nothing_else(gateway: GatewayUnderTest, key):
    (gateway.data / "spendops.sqlite3").touch()
    assert key.chat().status_code == 200
    assert key.chat(stream=True).status_code == 200
    opened = set()
    for descriptor in Path(f"/proc/{gateway.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            link = str(descriptor.readlink())
            if link.startswith(str(gateway.data)):
                opened.add(link)
    names = {link.removeprefix(f"{gateway.data}/").partition("3-")[0].removesuffix("3") for link in opened}
    assert names == {"dev/kv.sqlite", "dev/queues.sqlite", "dev/last-known.sqlite"}


def test_two_environments_share_nothing(gateway):
    other = GatewayUnderTest(gateway.data, env="prod", settings=gateway.settings)
    try:
        key = other.start().issue()
        assert key.chat().status_code == 200
        (event,) = other.usage(key)
        assert (event.env, event.price_version) == ("prod", 0)
        assert event.cost is None  # no prices there yet: unpriced, not free
        assert other.kv.list("missing:").entries == []  # and no gap in a price book that does not exist
        key.gateway = gateway
        assert key.chat().json()["error"]["code"] == "key_wrong_environment"
    finally:
        other.close()


def test_health_says_what_a_balancer_and_a_person_want_to_know(gateway):
    report = wait_for(lambda: (found := gateway.health())["status"] == "ok" and found, "good health")
    assert report["env"] == "dev"
    assert report["queue_ok"] is True
    assert 0 <= report["kv_age_ms"] < 2000
    assert report["price_version"] >= 1
    assert "openai" in report["sandbox"]
