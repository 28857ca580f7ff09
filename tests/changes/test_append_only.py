"""The database refuses what goes past the model's methods: UPDATE and DELETE by hand or by a queryset."""

from __future__ import annotations

import pytest
from django.db import Error, IntegrityError, connection, transaction

from changes.actor import Actor
from changes.append_only import REFUSAL, TABLE
from changes.models import AuditEvent
from changes.record import record

pytestmark = pytest.mark.django_db


@pytest.fixture
def event() -> AuditEvent:
    with transaction.atomic():
        return record("a.b", by=Actor("user", "u_1"), tenant="", target_kind="x", target_id="1")


@pytest.mark.parametrize(
    "statement", [f"UPDATE {TABLE} SET actor_id = 'u_2'", f"DELETE FROM {TABLE}", f"DELETE FROM {TABLE} WHERE id > 0"]
)
def test_sql_by_hand_is_refused(event, statement):
    with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.get().actor_id == "u_1"


def test_a_queryset_is_refused(event):
    with pytest.raises(Error, match=REFUSAL), transaction.atomic():
        AuditEvent.objects.update(actor_id="u_2")
    with pytest.raises(Error, match=REFUSAL), transaction.atomic():
        AuditEvent.objects.all().delete()
    assert AuditEvent.objects.get().actor_id == "u_1"


@pytest.mark.postgres
def test_truncate_is_refused(event):
    with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLE}")
    assert AuditEvent.objects.exists()
