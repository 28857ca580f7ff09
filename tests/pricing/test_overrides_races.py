"""Two people at the same tenant's overrides: versions follow one another, and no two rules come to overlap."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from pricing.actions.overrides import archive_override, change_override, create_override
from pricing.models import Override, OverrideBook
from pricing.override_rules import InvalidOverrideError, OverrideSettings
from pricing.queries_overrides import book_of, newest_version, rules_in
from tenants.errors import StaleError
from tenants.models import Tenant
from tenants.scope import across_tenants, tenant_scope
from tests.pricing.test_races import somebody_waits
from tests.tenants.making import SOMEBODY, make_tenant

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def wanted(name: str, **fields: Any) -> OverrideSettings:
    given = {"kind": "percent", "basis_points": -100, "starts_at": datetime(2026, 1, 1, tzinfo=UTC)} | fields
    return OverrideSettings(name=name, **given)


def create(tenant: Tenant, name: str, **fields: Any) -> Override:
    return create_override(tenant=tenant, wanted=wanted(name, **fields), by=SOMEBODY)


def at_once(first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """Do one thing, and before it is committed begin another; returns what came of that one."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(second())
        except Exception as error:
            outcome.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    with transaction.atomic():
        first()
        thread.start()
        deadline = time.monotonic() + 20
        while not somebody_waits() and time.monotonic() < deadline:
            time.sleep(0.01)
    thread.join(timeout=20)
    return outcome[0]


def test_the_second_of_two_that_overlap_is_refused():
    tenant = make_tenant()
    found = at_once(lambda: create(tenant, "First"), lambda: create(tenant, "Second"))
    assert isinstance(found, InvalidOverrideError)
    assert "“First”" in found.message
    assert newest_version(tenant.id) == 1


def test_versions_follow_one_another_and_hold_both():
    tenant = make_tenant()
    at_once(lambda: create(tenant, "First"), lambda: create(tenant, "Second", priority=1))
    assert [len(rules_in(book_of(tenant.id, version))) for version in (1, 2)] == [1, 2]


def test_the_second_of_two_changes_is_stale():
    tenant = make_tenant()
    row = create(tenant, "First")
    found = at_once(
        lambda: change_override(override=row, wanted=wanted("First", priority=1), version=1, by=SOMEBODY),
        lambda: archive_override(override=row, version=1, by=SOMEBODY),
    )
    assert isinstance(found, StaleError)


@pytest.fixture
def app_role() -> Iterator[None]:
    """From here on the test speaks to the database as the application does in production."""
    with connection.cursor() as cursor:
        for name in ("roles", "grants"):
            cursor.execute((Path(settings.BASE_DIR) / "deploy" / "sql" / f"{name}.sql").read_text(encoding="utf-8"))
        cursor.execute("SET ROLE spendops_app")
    yield
    connection.close()


def test_overrides_of_others_stand_behind_the_wall(app_role):
    ours, theirs = make_tenant("Ours"), make_tenant("Theirs")
    mine, foreign = create(ours, "Mine"), create(theirs, "Foreign")
    with tenant_scope(ours.id):
        for table in (Override, OverrideBook):
            assert set(table._base_manager.values_list("tenant_id", flat=True)) == {ours.id}
        assert Override._base_manager.filter(pk=foreign.pk).update(basis_points=-10_000) == 0
    assert newest_version(theirs.id) == 1
    archive_override(override=mine, by=SOMEBODY)
    with across_tenants("a test counts"):
        assert OverrideBook.objects.count() == 3
