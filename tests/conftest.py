"""What tests of every part may ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from pytest_django.fixtures import SettingsWrapper
    from pytest_django.live_server_helper import LiveServer

    from tests.browsing import Person
    from tests.chromium import Window
    from tests.cloudflare.peer import Peer
    from tests.redis import RedisServer


@pytest.fixture(scope="session", autouse=True)
def _plain_static_files(django_test_environment: None) -> Iterator[None]:
    """Static files straight from the source: tests do not collect them first."""
    from django.conf import settings
    from django.test import override_settings

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(STORAGES=settings.STORAGES | {"staticfiles": plain}):
        yield


@pytest.fixture(scope="session", autouse=True)
def _tests_may_empty_the_audit_trail() -> Iterator[None]:
    """After a test with real transactions Django empties all tables; the audit trail's triggers would refuse that."""
    from unittest.mock import patch

    from django.db import connection

    from changes.append_only import TABLE, install_statements, remove_statements

    operations = type(connection.ops)
    flush = operations.sql_flush

    def flush_with_leave(self, style, tables, **options):
        statements = flush(self, style, tables, **options)
        if TABLE not in tables:
            return statements
        vendor = connection.vendor
        return [*remove_statements(vendor), *statements, *install_statements(vendor)]

    with patch.object(operations, "sql_flush", flush_with_leave):
        yield


@pytest.fixture(scope="session", autouse=True)
def _live_servers_answer_at_once() -> Iterator[None]:
    """Django's server sends the head of an answer and its body apart: with Nagle's algorithm the body of each waits
    until the other end has acknowledged the head, which it puts off for some 40 ms.
    """
    from unittest.mock import patch

    from django.core.servers.basehttp import WSGIRequestHandler

    with patch.object(WSGIRequestHandler, "disable_nagle_algorithm", True):
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """SQLite in a file, as in the product: a live server's threads then have connections of their own."""
    from django.conf import settings
    from django.db import connection

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(settings.SPENDOPS.data / "tests.sqlite3")


@pytest.fixture(scope="session")
def _clickhouse_server(tmp_path_factory: pytest.TempPathFactory, django_test_environment: None) -> Iterator[None]:
    from django.conf import settings

    from spend.clickhouse.client import forget_connections
    from spend.clickhouse.migrate import migrate
    from tests.engine import clickhouse_url, embedded_clickhouse

    with embedded_clickhouse(tmp_path_factory.mktemp("clickhouse")) as port, pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "CLICKHOUSE_URL", clickhouse_url(port))
        migrate()
        yield
        forget_connections()


@pytest.fixture
def clickhouse(_clickhouse_server: None) -> None:
    """The embedded engine with our tables, empty. One for the whole run, in a process of its own."""
    from spend.clickhouse.client import command

    for table in ("usage_events", "denial_events", "usage_daily", "imported_usage"):
        command(f"TRUNCATE TABLE {table}", purpose="an empty table for a test")


@pytest.fixture(scope="session")
def cloudflare_runtime() -> Iterator[Peer]:
    """Cloudflare's own runtime with a KV namespace for dev and one for prod. One for the whole run."""
    from tests.cloudflare.peer import cloudflare_peer

    with cloudflare_peer() as peer:
        yield peer


@pytest.fixture
def cloudflare(cloudflare_runtime: Peer, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """The same, with nothing in its namespaces, and all calls that five minutes allow."""
    monkeypatch.setattr("wire.kv.cloudflare._paces", {})
    cloudflare_runtime.empty()
    return cloudflare_runtime


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A redis-server for the whole run. Tests take namespaces of their own in it, and never stop it."""
    from tests.redis import redis_server

    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium. Playwright keeps an event loop running in this thread, where Django would refuse to query."""
    from tests.chromium import chromium

    with pytest.MonkeyPatch.context() as patch, chromium() as found:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield found


@pytest.fixture
def site(live_server: LiveServer, settings: SettingsWrapper) -> str:
    """The product, served at http://localhost:PORT for real browsers. Passkeys are made for that address."""
    settings.PUBLIC_URL = settings.WEBAUTHN_ORIGIN = live_server.url
    return str(live_server.url)


@pytest.fixture
def admin_window(browser: Browser, site: str, settings: SettingsWrapper) -> Iterator[Window]:
    """A Chromium window in which the first admin has just enrolled a passkey and is signed in."""
    from changes.actor import Actor
    from tenants.bootstrap import bootstrap_admin
    from tests.chromium import Window

    settings.LOGIN_REDIRECT_URL = "/passkeys"  # a page that needs no other engine
    window = Window(browser, site)
    try:
        window.enrol(bootstrap_admin(email="asha@example.com", name="Asha", by=Actor.system("tests")).token)
        window.page.goto("/passkeys")
        yield window
    finally:
        window.close()


@pytest.fixture
def admin_client(db: None) -> Person:
    """The first admin at a browser, signed in with a passkey: `.user`, `.tenant`, `.step_up()`, `.confirmed_post()`."""
    from changes.actor import Actor
    from tenants.bootstrap import bootstrap_admin
    from tenants.models import Tenant
    from tests.browsing import Person

    link = bootstrap_admin(email="asha@example.com", name="Asha", by=Actor.system("tests"))
    person = Person()
    enrolled = person.enrol(link.token)
    assert enrolled.status_code == 200, enrolled.content
    person.user = _user("asha@example.com")
    person.tenant = Tenant.objects.get()
    return person


@pytest.fixture
def newcomer(db: None) -> Callable[..., Any]:
    """Makes a person who holds an enrolment link and has not used it: `.user`, `.token`."""
    from datetime import timedelta

    from access.actions import create_user, issue_enrolment_link
    from access.models import EnrolmentLink
    from changes.actor import Actor
    from tests.browsing import Person

    def make(email: str = "ravi@example.com", authenticator: Any = None) -> Any:
        by = Actor.system("tests")
        person: Any = Person(authenticator)
        person.user = create_user(email=email, name="Ravi", by=by)
        person.token = issue_enrolment_link(
            user=person.user, purpose=EnrolmentLink.Purpose.FIRST_ADMIN, lifetime=timedelta(minutes=30), by=by
        ).token
        return person

    return make


def _user(email: str):
    from access.models import User

    return User.objects.get(email=email)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of races need PostgreSQL: on SQLite they are not part of the run, rather than skipped in it."""
    from django.conf import settings

    if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
        return
    left = [item for item in items if not item.get_closest_marker("postgres")]
    away = [item for item in items if item.get_closest_marker("postgres")]
    if away:
        config.hook.pytest_deselected(items=away)
        items[:] = left
