"""C10: secrets that pass through a real installation are found afterwards nowhere but where they belong."""

from __future__ import annotations

import base64
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest

from tests.gateway.peers import ReplayingProvider
from tests.postgres import program
from tests.spendops.installation import Browser, Installation
from wire.keys import PATTERN

CREDENTIAL = "sk-planted-0123456789-provider-credential"
PIECE = 16  # characters of a secret that must not be found together
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}


def pieces(secret: str) -> set[bytes]:
    """What to look for: any stretch of the secret, as it is, in hexadecimal and in base64."""
    stretches = {secret[start : start + PIECE] for start in range(len(secret) - PIECE + 1)} or {secret}
    whole = secret.encode()
    written = {whole.hex(), whole.hex().upper(), base64.b64encode(whole).decode().rstrip("=")[:-2]}
    return {each.encode() for each in stretches | written}


def found_in(haystacks: dict[str, bytes], secrets: dict[str, str]) -> list[tuple[str, str]]:
    """Which secret lies where."""
    return [
        (name, place)
        for place, hay in haystacks.items()
        for name, secret in secrets.items()
        if any(piece in hay for piece in pieces(secret))
    ]


@contextmanager
def database_of_its_own() -> Iterator[str]:
    """A database beside the tests' own, on the same PostgreSQL."""
    server = os.environ["SPENDOPS_TEST_DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS planted_secrets")
        connection.execute("CREATE DATABASE planted_secrets")
    yield urlunsplit(urlsplit(server)._replace(path="/planted_secrets"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE planted_secrets WITH (FORCE)")


def sqlite_dump(data: Path) -> bytes:
    with closing(sqlite3.connect(data / "spendops.sqlite3")) as connection:
        return "\n".join(connection.iterdump()).encode()


def postgres_dump(url: str) -> bytes:
    return subprocess.run([program("pg_dump"), url], check=True, capture_output=True, timeout=60).stdout


@pytest.mark.parametrize(
    "written",
    [
        b"whole: sk-planted-0123456789-provider-credential.",
        b"cut: ...0123456789-provider-cred",
        b"a blob: X'736b2d706c616e7465642d303132333435363738392d70726f76696465722d63726564656e7469616c'",
        b"Basic c2stcGxhbnRlZC0wMTIzNDU2Nzg5LXByb3ZpZGVyLWNyZWRlbnRpYWw=",
    ],
)
def test_c10_a_secret_would_be_found_however_it_is_written(written):
    assert found_in({"a log": written, "another": b"nothing"}, {"credential": CREDENTIAL}) == [("credential", "a log")]


@pytest.mark.timeout(300)
def test_c10_secrets_are_nowhere_but_where_they_belong_on_sqlite(tmp_path):
    plant_and_look(tmp_path, lambda installation: sqlite_dump(installation.data))


@pytest.mark.timeout(300)
@pytest.mark.postgres
def test_c10_secrets_are_nowhere_but_where_they_belong_on_postgresql(tmp_path):
    with database_of_its_own() as url:
        plant_and_look(tmp_path, lambda _: postgres_dump(url), SPENDOPS_DATABASE_URL=url)


def plant_and_look(folder: Path, dump, **settings: str) -> None:
    provider = ReplayingProvider()
    settings |= {"SPENDOPS_PROVIDER_OPENAI_BASE_URL": provider.url, "SPENDOPS_PROVIDER_OPENAI_API_KEY": CREDENTIAL}
    installation = Installation(folder, **settings)
    try:
        secrets, answers = plant(installation, provider)
    finally:
        installation.end()
        provider.close()
    dumped = dump(installation)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    # the looking is not blind: what may be known of the key is in each place that could have held the key
    public = secrets["api key"].split("_")[2]
    assert public.encode() in dumped
    assert all(public.encode() in files[f"data/dev/{name}"] for name in ("kv.sqlite3", "queues.sqlite3"))
    assert b"A fault that was planted" in files["logs/web.log"]
    assert b"Ready" in files["logs/gateway.log"]
    haystacks = files | answers | {"the dump": dumped}
    assert found_in(haystacks, {name: _core(secret) for name, secret in secrets.items()}) == []


def _core(secret: str) -> str:
    """The part of a secret that is one: keys and tokens begin with what may be known."""
    return secret.rsplit("_", 1)[1] if secret.startswith(("so_", "sot_")) else secret


def plant(installation: Installation, provider: ReplayingProvider) -> tuple[dict[str, str], dict[str, bytes]]:
    """Let every kind of secret pass through. Returns them, and the answers that must not hold any."""
    secrets = {"provider credential": CREDENTIAL}
    link = json.loads(installation.manage("bootstrap_admin", "asha@example.com", "--json"))["url"]
    secrets["enrolment token"] = urlsplit(link).fragment
    installation.start_web("tests.spendops.failing_web:application")
    browser = Browser(installation.web)
    browser.enrol(secrets["enrolment token"])
    browser.step_up()
    secrets["session"] = browser.session
    project = re.search(r'value="(p_[0-9a-z]+)"', browser.get("/keys/issue"))
    assert project is not None
    wanted = {"name": "Billing bot", "project": project[1], "env": "dev"}
    issued = PATTERN.search(browser.post("/keys/issue", wanted).text)
    assert issued is not None
    secrets["api key"] = issued[0]
    failed = browser.post("/keys/issue", wanted | {"env": "prod", "name": "Fails"})
    assert failed.status_code == 500
    plant_codes_and_tokens(browser, secrets)
    pages = {path: browser.get(path).encode() for path in ("/keys", "/audit", "/alerts/outbox", "/publishing")}
    assert b"Billing bot" in pages["/keys"]
    browser.close()
    installation.manage("publish", "--once")
    refusals = call_the_gateway(installation, provider, secrets["api key"])
    return secrets, pages | refusals | {"the error page": failed.content}


def plant_codes_and_tokens(browser: Browser, secrets: dict[str, str]) -> None:
    browser.get("/recovery-codes")
    shown = re.search(r'<pre id="codes"[^>]*>([^<]+)</pre>', browser.post("/recovery-codes", {}).text)
    assert shown is not None
    first, second = shown[1].split()[:2]
    secrets["recovery code"] = first
    used = browser.send("/recover/redeem", {"code": second})  # and one that is used: it becomes a link
    secrets["used recovery code"], secrets["recovery link"] = second, urlsplit(used["next"]).fragment
    token = browser.send(
        "/api/v1/tokens",
        {
            "name": "Nightly report",
            "scopes": ["spend.view"],
            "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        },
        **{"Idempotency-Key": "planted-0001"},
    )
    secrets["service token"] = token["token"]
    called = {"authorization": f"Bearer {token['token']}", "accept": "application/json"}
    assert httpx.get(f"{browser.site}/api/v1/audit", headers=called, timeout=30).status_code == 403


def call_the_gateway(installation: Installation, provider: ReplayingProvider, key: str) -> dict[str, bytes]:
    """Calls that succeed, that the provider fails, and with a key mistyped by one character."""
    installation.start_gateway()
    url = f"{installation.gateway}/v1/chat/completions"
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    provider.answers({"id": "x", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [], "usage": usage})
    answers = {}
    good = httpx.post(url, json=CHAT, headers={"authorization": f"Bearer {key}"}, timeout=30)
    assert good.status_code == 200
    assert provider.seen[0].headers["authorization"] == f"Bearer {CREDENTIAL}"  # the one place where it belongs
    answers["a call"] = good.content + repr(good.headers).encode()
    provider.answers({"error": {"message": "broken"}}, status=500)
    mistyped = key[:-1] + ("a" if key[-1] != "a" else "b")
    for name, sent in (("a failing provider", key), ("a mistyped key", mistyped)):
        for header in ({"authorization": f"Bearer {sent}"}, {"x-api-key": sent}):
            answer = httpx.post(url, json=CHAT, headers=header, timeout=30)
            assert answer.status_code >= 400
            answers[f"{name} by {next(iter(header))}"] = answer.content + repr(answer.headers).encode()
    return answers
