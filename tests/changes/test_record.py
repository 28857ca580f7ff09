"""record(): the audit event and the outbox rows are part of the change, or nothing is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.models import AppendOnlyError, AuditEvent, OutboxRow
from changes.queries import events_about, events_by_id, events_of_tenant
from changes.record import OutsideTransactionError, Publish, Topic, record

BY = Actor("user", "u_1", role="tenant_admin", address="192.0.2.1", request_id="r-1")


def changed(target: str = "k1", tenant: str = "t_1", publish: list[Publish] | None = None) -> AuditEvent:
    with transaction.atomic():
        return record(
            "api_key.changed",
            by=BY,
            tenant=tenant,
            target_kind="api_key",
            target_id=target,
            before={"a": 1},
            after={"a": 2},
            publish=publish or [],
        )


@pytest.mark.django_db
def test_an_event_says_who_did_what_to_which_thing():
    event = AuditEvent.objects.get(pk=changed().pk)
    assert (event.kind, event.tenant_id, event.target_kind, event.target_id) == (
        "api_key.changed",
        "t_1",
        "api_key",
        "k1",
    )
    assert (event.actor_kind, event.actor_id, event.actor_role) == ("user", "u_1", "tenant_admin")
    assert (event.before, event.after) == ({"a": 1}, {"a": 2})
    assert (event.address, event.request_id) == ("192.0.2.1", "r-1")
    assert abs(timezone.now() - event.at) < timedelta(minutes=1)


@pytest.mark.django_db
def test_what_must_be_published_is_noted_once_and_points_to_the_event():
    key = Publish(Topic.KEY, "k1")
    event = changed(publish=[key, key, Publish(Topic.TENANT, "t_1")])
    rows = OutboxRow.objects.order_by("id").values_list("topic", "object_id", "audit_event_id")
    assert list(rows) == [("key", "k1", event.pk), ("tenant", "t_1", event.pk)]


@pytest.mark.django_db
def test_a_publication_may_wait_for_its_moment():
    tomorrow = timezone.now() + timedelta(days=1)
    changed(publish=[Publish(Topic.KEY, "k1"), Publish(Topic.KEY, "k1", due=tomorrow)])
    assert [row.due_at > timezone.now() for row in OutboxRow.objects.order_by("id")] == [False, True]


@pytest.mark.django_db
def test_when_the_change_is_rolled_back_nothing_is_left():
    def change_and_fail() -> None:
        with transaction.atomic():
            changed(publish=[Publish(Topic.KEY, "k1")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert not AuditEvent.objects.exists()
    assert not OutboxRow.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_it_refuses():
    with pytest.raises(OutsideTransactionError):
        record("x", by=BY, tenant="", target_kind="x", target_id="x")
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
def test_events_are_read_the_newest_first_and_only_those_asked_for():
    first, second = changed("k1"), changed("k1")
    other, foreign = changed("k2"), changed("k1", tenant="t_2")
    assert [event.pk for event in events_about("api_key", "k1", tenant="t_1")] == [second.pk, first.pk]
    assert [event.pk for event in events_of_tenant("t_1", most=2)] == [other.pk, second.pk]
    assert [event.pk for event in events_of_tenant("t_1", before=second.pk)] == [first.pk]
    assert events_by_id([first.pk, foreign.pk, 10**9]) == {first.pk: first, foreign.pk: foreign}


@pytest.mark.django_db
def test_an_event_can_neither_be_saved_again_nor_deleted():
    event = changed()
    event.kind = "something.else"
    with pytest.raises(AppendOnlyError):
        event.save()
    with pytest.raises(AppendOnlyError):
        event.delete()
