"""C13 on PostgreSQL: the role that the application connects as may add audit events and read them, nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import ProgrammingError, connection, transaction

from changes.actor import Actor
from changes.append_only import TABLE
from changes.models import AuditEvent
from changes.record import record
from changes.verify import verify_trail

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


@pytest.fixture
def as_the_app() -> Iterator[None]:
    """What follows runs as spendops_app, as deploy/sql sets it up."""
    with connection.cursor() as cursor:
        for name in ("roles.sql", "grants.sql"):
            cursor.execute((settings.BASE_DIR / "deploy" / "sql" / name).read_text())
        cursor.execute("SET ROLE spendops_app")
        yield
        cursor.execute("RESET ROLE")


def happen() -> AuditEvent:
    with transaction.atomic():
        return record("budget.raised", by=Actor("user", "u_1"), tenant="t_1", target_kind="budget", target_id="b_1")


def test_c13_the_app_role_adds_and_reads(as_the_app):
    happen(), happen()
    assert verify_trail().events == 2


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {TABLE} SET actor_id = 'u_2'",
        f"DELETE FROM {TABLE}",
        f"TRUNCATE {TABLE}",
        f"ALTER TABLE {TABLE} DISABLE TRIGGER ALL",
        f"DROP TRIGGER {TABLE}_no_change ON {TABLE}",
        f"DROP TABLE {TABLE}",
        f"CREATE OR REPLACE FUNCTION {TABLE}_append_only() RETURNS trigger LANGUAGE sql AS ''",
    ],
)
def test_c13_the_app_role_cannot_change_the_trail(as_the_app, statement):
    happen()
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        _run(statement)
    assert AuditEvent.objects.get().actor_id == "u_1"
    assert verify_trail().whole


def _run(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
