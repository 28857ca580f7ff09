"""From a crossing to a receiver: once, in the end, whatever happens in between."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connection

from alerts.actions.announcing import announce_crossings
from alerts.actions.channels import add_channel, remove_channel, try_channel
from alerts.actions.sending import retry_delivery, send_due
from alerts.errors import NotWaitingError
from alerts.models import Delivery
from alerts.rules import LEASE, SCHEDULE
from alerts.tasks import send_deliveries
from budgets.evaluator import evaluate
from budgets.models import Crossing
from changes.models import AuditEvent
from tenants.scope import across_tenants
from tests.alerts.conftest import by_kind, channels, deliveries
from tests.budgets.making import NOON, SOMEBODY, Ledger, make_budget

LATER = NOON + timedelta(seconds=10)


def add(tenant, kind="slack", target="", name="Team"):
    return add_channel(tenant=tenant, kind=kind, name=name, target=target, by=SOMEBODY)


def only(channel) -> Delivery:
    (found,) = [each for each in deliveries() if each.channel_id == channel.id]
    return found


def test_the_first_crossing_of_a_tenant_shows_a_mail_and_a_slack_message(tenant, crossed):
    with time_machine.travel(LATER, tick=False):
        send_deliveries()
    found = by_kind()
    assert set(found) == {"email", "slack"}
    for each in found.values():
        assert (each.status, each.kept_here, each.sent_at, each.attempts) == ("sent", True, LATER, 1)
    assert found["email"].to == "asha@example.com"
    assert found["slack"].to == "preview only, no webhook"


def test_running_again_doubles_nothing(tenant, crossed):
    for _ in range(3):
        announce_crossings(now=LATER)
        send_due(now=LATER)
    assert len(deliveries()) == 2
    assert len(channels()) == 2
    assert AuditEvent.objects.filter(kind="alert.announced").count() == 1
    with across_tenants("a test looks"):
        assert not Crossing.objects.filter(announcement="waiting").exists()


def test_a_tenant_hears_nothing_of_another(tenant, stranger, crossed):
    announce_crossings(now=LATER)
    assert {each.tenant_id for each in deliveries()} == {tenant.id}


def test_a_mail_server_takes_a_multipart_mail(tenant, crossed, mailbox):
    announce_crossings(now=LATER)
    assert send_due(now=LATER) == 2
    (mail,) = mailbox.taken
    assert mailbox.recipients == [["asha@example.com"]]
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail["Subject"] == "Budget “First” is used up (124%)"
    assert mail["List-Unsubscribe"] == "<http://localhost:8000/alerts/channels>"
    assert mail["Message-ID"] == f"<{by_kind()['email'].id}@localhost>"
    assert "$0.00012465 of $0.0001" in mail.get_body(("plain",)).get_content()
    assert "$0.00012465 of $0.0001" in mail.get_body(("html",)).get_content()


def test_a_webhook_takes_slacks_payload(tenant, crossed, webhook):
    team = add(tenant, target=webhook.url)
    announce_crossings(now=LATER)
    send_due(now=LATER)
    (sent,) = webhook.taken
    assert sent["blocks"][0]["type"] == "header"
    assert "$0.00012465 of $0.0001" in sent["text"]
    assert only(team).status == "sent"
    assert webhook.tries == 1


def test_an_outage_is_ridden_out_on_the_schedule(tenant, crossed, webhook, mailbox):
    team = add(tenant, target=webhook.url)
    webhook.status, webhook.body = 503, "down"
    mailbox.answer = "451 try later"
    now = LATER
    announce_crossings(now=now)
    tries = []
    for wait in SCHEDULE[:6]:
        now += wait
        send_due(now=now - timedelta(milliseconds=1))  # a moment too early
        send_due(now=now)
        send_due(now=now)
        tries.append((webhook.tries, mailbox.tries))
    assert tries == [(number, number) for number in range(1, 7)]
    assert only(team).error == "Slack answered 503 down"
    assert channels()[-1].last_error == "Slack answered 503 down"
    webhook.status, mailbox.answer = 200, ""
    now += SCHEDULE[6]
    send_due(now=now)
    send_due(now=now + timedelta(days=1))
    assert (len(webhook.taken), len(mailbox.taken)) == (1, 1)
    assert only(team).status == "sent"
    assert only(team).error == ""
    assert channels()[-1].last_error == ""


def test_after_the_last_attempt_a_message_is_given_up_and_can_be_sent_again(tenant, crossed, webhook):
    team = add(tenant, target=webhook.url)
    webhook.status = 500
    announce_crossings(now=LATER)
    now = LATER
    for wait in SCHEDULE:
        now += wait
        send_due(now=now)
    send_due(now=now + timedelta(days=9))
    given_up = only(team)
    assert (given_up.status, given_up.attempts, webhook.tries) == ("dead", len(SCHEDULE), len(SCHEDULE))
    webhook.status = 200
    retry_delivery(delivery_id=given_up.id, tenant_id=tenant.id, by=SOMEBODY, now=now)
    send_due(now=now)
    assert only(team).status == "sent"
    with pytest.raises(NotWaitingError):
        retry_delivery(delivery_id=given_up.id, tenant_id=tenant.id, by=SOMEBODY)


@pytest.mark.parametrize(
    ("status", "body"), [(404, "no_service"), (410, "channel_is_archived"), (400, "invalid_payload")]
)
def test_a_refusal_for_good_stops_at_once(tenant, crossed, webhook, status, body):
    team = add(tenant, target=webhook.url)
    webhook.status, webhook.body = status, body
    announce_crossings(now=LATER)
    for hours in range(3):
        send_due(now=LATER + timedelta(hours=hours))
    refused = only(team)
    assert (refused.status, refused.attempts, webhook.tries) == ("failed", 1, 1)
    assert refused.error == f"Slack answered {status} {body}"


def test_a_redirect_is_not_followed(tenant, crossed, webhook):
    team = add(tenant, target=webhook.url)
    webhook.status, webhook.headers = 302, {"Location": webhook.url}
    announce_crossings(now=LATER)
    send_due(now=LATER)
    assert (only(team).status, webhook.tries) == ("failed", 1)


def test_a_mailbox_that_does_not_exist_stops_at_once(tenant, crossed, mailbox):
    mailbox.refused_recipient = "550 no such user"
    announce_crossings(now=LATER)
    send_due(now=LATER)
    refused = by_kind()["email"]
    assert refused.status == "failed"
    assert "asha@example.com: 550 no such user" in refused.error


def test_a_server_that_is_not_there_is_tried_again(tenant, crossed, mailbox, settings):
    settings.EMAIL_PORT = 1  # nobody listens
    announce_crossings(now=LATER)
    send_due(now=LATER)
    waiting = by_kind()["email"]
    assert (waiting.status, waiting.next_at) == ("waiting", LATER + SCHEDULE[1])
    assert "cannot be reached" in waiting.error


def test_a_tenant_without_admins_is_told_so(stranger, mailbox):
    budget = make_budget(stranger)
    evaluate(LATER, read=Ledger({budget.id: 10**12}))
    announce_crossings(now=LATER)
    send_due(now=LATER)
    assert by_kind()["email"].status == "failed"
    assert "add an address" in by_kind()["email"].error


def test_a_message_of_a_worker_that_died_is_sent_by_the_next(tenant, crossed, webhook):
    from alerts.actions.sending import _claim

    team = add(tenant, target=webhook.url)
    announce_crossings(now=LATER)
    with across_tenants("a worker takes a message and dies"):
        assert _claim(only(team).id, LATER) is not None
        assert _claim(only(team).id, LATER) is None
    send_due(now=LATER + LEASE - timedelta(seconds=1))
    assert webhook.tries == 0
    send_due(now=LATER + LEASE)
    assert (webhook.tries, only(team).status, only(team).attempts) == (1, "sent", 2)


@pytest.mark.django_db(transaction=True)
def test_workers_side_by_side_send_a_message_once(tenant, crossed, webhook):
    add(tenant, target=webhook.url)
    workers_send_once(webhook)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_workers_side_by_side_send_a_message_once_on_postgres(tenant, crossed, webhook):
    add(tenant, target=webhook.url)
    workers_send_once(webhook)


def workers_send_once(webhook) -> None:
    gate = threading.Barrier(6)
    faults: list[Exception] = []

    def work() -> None:
        gate.wait(timeout=30)
        try:
            announce_crossings(now=LATER)
            send_due(now=LATER)
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    send_due(now=LATER)
    assert faults == []
    assert webhook.tries == 1
    assert len(deliveries()) == 3
    assert {each.status for each in deliveries()} == {"sent"}


def test_a_test_message_goes_the_way_of_every_message(tenant, webhook):
    team = add(tenant, target=webhook.url)
    made = try_channel(channel_id=team.id, tenant=tenant, by=SOMEBODY, now=LATER)
    send_due(now=LATER)
    assert webhook.taken[0]["blocks"][0]["text"]["text"] == "Test of the channel “Team”"
    assert only(team).id == made.id


def test_what_waits_for_a_removed_channel_is_given_up(tenant, crossed, webhook):
    team = add(tenant, target=webhook.url)
    announce_crossings(now=LATER)
    remove_channel(channel_id=team.id, tenant=tenant, by=SOMEBODY)
    send_due(now=LATER)
    assert webhook.tries == 0
    assert only(team).status == "dead"
    with pytest.raises(NotWaitingError):
        retry_delivery(delivery_id=only(team).id, tenant_id=tenant.id, by=SOMEBODY)
