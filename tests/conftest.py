"""What tests of every part may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browsing import Person


@pytest.fixture(scope="session", autouse=True)
def _plain_static_files(django_test_environment: None) -> Iterator[None]:
    """Static files straight from the source: tests do not collect them first."""
    from django.conf import settings
    from django.test import override_settings

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(STORAGES=settings.STORAGES | {"staticfiles": plain}):
        yield


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
