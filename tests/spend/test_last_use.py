"""Keys and projects say when they were last used, to the minute, and a key in constant use costs next to nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from changes.models import AuditEvent, OutboxRow
from spend.queries.totals import totals
from tenants.actions.use import LastUses, Use
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import tenant_scope
from tests.spend.events import usage
from tests.tenants.making import issue, make_tenant, project_of

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 20, 12, 30, 41, tzinfo=UTC)
MINUTE = AT.replace(second=0)


@pytest.fixture
def acme() -> Tenant:
    return make_tenant("Acme")


def use(key: ApiKey, at: datetime) -> Use:
    return Use(key.id, key.project_id, int(at.timestamp() * 1000))


def noted(key: ApiKey) -> tuple[datetime | None, datetime | None]:
    with tenant_scope(key.tenant_id):
        return ApiKey.objects.get(pk=key.pk).last_used_at, Project.objects.get(pk=key.project_id).last_used_at


def test_the_consumer_notes_uses(acme, clickhouse, queues):
    key, unused = issue(acme, "bot").key, issue(acme, "idle").key
    now = datetime.now(UTC)
    events, rows = AuditEvent.objects.count(), OutboxRow.objects.count()
    queues.send(
        usage(1, tenant=acme.id, project=key.project_id, key=key.id, ts=_ms(now - timedelta(minutes=5))),
        usage(2, tenant=acme.id, project=key.project_id, key=key.id, ts=_ms(now)),
    )
    queues.usage_consumer().turn()
    minute = now.replace(second=0, microsecond=0)
    assert noted(key) == (minute, minute)
    assert noted(unused)[0] is None
    assert (AuditEvent.objects.count(), OutboxRow.objects.count()) == (events, rows)


def test_the_database_away_keeps_no_event_back(transactional_db, clickhouse, queues, monkeypatch):
    acme = make_tenant("Acme")  # the consumer gives its SQL connection back, which needs real transactions
    key = issue(acme).key

    def away(*_, **__):
        raise DatabaseError("no")

    monkeypatch.setattr(LastUses, "note", away)
    now = datetime.now(UTC)
    queues.send(usage(1, tenant=acme.id, project=key.project_id, key=key.id, ts=_ms(now)))
    queues.consume()
    assert totals(acme.id, now.date(), now.date()).requests == 1
    assert noted(key) == (None, None)


def test_only_a_newer_minute_is_written(acme):
    key = issue(acme).key
    LastUses().note([use(key, AT)], now=AT)
    assert noted(key) == (MINUTE, MINUTE)
    LastUses().note([use(key, AT - timedelta(hours=1))], now=AT)  # a late event, in another process
    assert noted(key) == (MINUTE, MINUTE)
    LastUses().note([use(key, AT + timedelta(days=900))], now=AT + timedelta(minutes=1))  # a clock far ahead
    assert noted(key)[0] == MINUTE + timedelta(minutes=1)


def test_constant_use_costs_a_statement_a_minute(acme):
    keys = [issue(acme, f"bot {number}").key for number in range(20)]
    uses = LastUses()
    with CaptureQueriesContext(connection) as first:
        uses.note([use(key, AT) for key in keys for _ in range(50)], now=AT)
    written = [each["sql"] for each in first if each["sql"].startswith("UPDATE")]
    assert len(written) == 2  # all keys in one, their project in the other
    with CaptureQueriesContext(connection) as again:
        for second in range(15):
            uses.note([use(key, AT + timedelta(seconds=second)) for key in keys], now=AT)
    assert len(again) == 0
    later = AT + timedelta(minutes=1)
    with CaptureQueriesContext(connection) as next_minute:
        uses.note([use(key, later) for key in keys], now=later)
    assert len([each for each in next_minute if each["sql"].startswith("UPDATE")]) == 2
    assert {noted(key)[0] for key in keys} == {MINUTE + timedelta(minutes=1)}


def test_keys_that_are_not_known_are_passed_over(acme):
    LastUses().note([Use("gone", "p_gone", 0), Use("", "", 0)], now=AT)
    assert project_of(acme).last_used_at is None


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
