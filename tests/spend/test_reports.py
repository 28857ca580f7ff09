"""Scheduled reports: when they are due, what they say, and that each goes out exactly once, whatever happens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from access.models import User
from changes.actor import Actor
from changes.models import AuditEvent
from spend.clickhouse.client import forget_connections
from spend.exports.wanted import Kind
from spend.forecasts.run import make_forecasts
from spend.models import Anomaly, Export, Report, ReportMail, ReportSending
from spend.queries.slices import Slice, cells
from spend.reports.actions import (
    Wanted,
    change_report,
    delete_report,
    pause_report,
    plan,
    resume_report,
    schedule_report,
    send_again,
    subscribe,
    try_report,
    unsubscribe,
    wanted_of,
)
from spend.reports.rules import Times, moment_at, next_due, period_before
from spend.reports.run import plan_due, send_reports
from tenants.errors import RefusedError
from tenants.models import Membership, Tenant
from tenants.scope import across_tenants, tenant_scope
from tests.alerts.receivers import Mailbox, mail_server
from tests.spend.conftest import count, tenant
from tests.spend.events import TENANT, unpriced, usage

KOLKATA = "Asia/Kolkata"
MONDAY_8 = datetime(2026, 3, 9, 2, 30, tzinfo=UTC)  # 08:00 in Kolkata
BEFORE = MONDAY_8 - timedelta(hours=3)


@pytest.fixture(autouse=True)
def ground(queues, clickhouse, settings, tmp_path) -> None:
    settings.EXPORTS = tmp_path / "exports"
    settings.MAIL_TO_OUTBOX = True


@pytest.fixture
def mailbox(settings) -> Iterator[Mailbox]:
    """A mail server that the product is set up with."""
    with mail_server() as box:
        settings.MAIL_TO_OUTBOX = False
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield box


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(BEFORE, tick=False) as moved:
        yield moved


@pytest.fixture
def acme(db, clock) -> Tenant:
    return tenant(TENANT, KOLKATA)


def member(of: Tenant, name: str, role: str = Membership.Role.FINANCE_VIEWER) -> User:
    user = User.objects.create(email=f"{name}@example.com", name=name.title())
    Membership.objects.create(user=user, tenant=of, role=role)
    return user


def by(user: User) -> Actor:
    return Actor("user", user.pk, role="finance_viewer")


def scheduled(of: Tenant, *people: User, **more: object) -> Report:
    wanted = Wanted(**{"name": "Weekly spend", "people": [person.pk for person in people], **more})
    with tenant_scope(of.pk):
        return schedule_report(tenant=of, wanted=wanted, by=by(people[0]))


def run() -> None:
    send_reports(seconds=60)


def rows(model: type) -> list:
    with across_tenants("a test looks"):
        return list(model.objects.order_by("pk"))


def sendings() -> list[ReportSending]:
    with across_tenants("a test looks"):
        return list(ReportSending.objects.order_by("due", "pk"))


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    return message.get_body((kind,)).get_content()


# -- when


@pytest.mark.parametrize(
    ("zone", "day", "hour", "expected"),
    [
        ("America/New_York", date(2026, 3, 8), 2, "2026-03-08T07:00:00+00:00"),  # 02:00 is left out: 03:00 EDT
        ("America/New_York", date(2026, 11, 1), 1, "2026-11-01T05:00:00+00:00"),  # 01:00 comes twice: the first
        ("Pacific/Chatham", date(2026, 9, 27), 3, "2026-09-26T14:00:00+00:00"),  # 02:45 is followed by 03:45
        ("Australia/Lord_Howe", date(2026, 10, 4), 2, "2026-10-03T15:30:00+00:00"),  # half an hour is left out
        ("America/Sao_Paulo", date(2018, 11, 4), 0, "2018-11-04T03:00:00+00:00"),  # midnight is left out
        ("Pacific/Apia", date(2011, 12, 30), 8, "2011-12-30T10:00:00+00:00"),  # the whole day is left out
        ("Asia/Kolkata", date(2026, 3, 9), 8, "2026-03-09T02:30:00+00:00"),
    ],
)
def test_an_hour_that_clocks_leave_out_is_the_moment_of_the_change(zone, day, hour, expected):
    assert moment_at(day, hour, zone).isoformat() == expected


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Chatham", "Australia/Lord_Howe", "UTC"])
def test_each_day_of_a_year_is_due_once_at_every_hour(zone):
    for hour in (0, 1, 2, 3, 23):
        times, after, days = Times("daily", 0, 1, hour), datetime(2026, 1, 1, tzinfo=UTC), []
        last = None
        while after < datetime(2027, 1, 1, tzinfo=UTC):
            due = next_due(times, zone, after=after, after_day=last)
            assert due.at > after
            after, last = due.at, due.day
            days.append(due.day)
        assert days == [days[0] + timedelta(days=number) for number in range(len(days))]


def test_a_month_without_the_day_has_its_last_and_covers_the_month_before():
    times, found = Times("monthly", 0, 31, 9), []
    after = datetime(2027, 1, 1, tzinfo=UTC)
    for _ in range(4):
        due = next_due(times, "UTC", after=after)
        found.append(due.day)
        after = due.at
    assert found == [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]
    assert period_before("monthly", date(2027, 3, 31)) == (date(2027, 2, 1), date(2027, 2, 28))
    assert period_before("weekly", date(2026, 3, 9)) == (date(2026, 3, 2), date(2026, 3, 8))
    assert period_before("daily", date(2026, 3, 1)) == (date(2026, 2, 28), date(2026, 2, 28))


# -- what


def test_a_weekly_report_says_what_the_page_says(acme, clock, mailbox):
    asha, ben = member(acme, "asha"), member(acme, "ben", Membership.Role.TENANT_ADMIN)
    events = [usage(n, datetime(2026, 3, 2, 3, n, tzinfo=UTC), charge="1.000000000001") for n in range(5)]
    events += [
        usage(9, datetime(2026, 3, 3, tzinfo=UTC), model_priced="o3", model_asked="o3", charge="7"),
        usage(10, datetime(2026, 2, 25, tzinfo=UTC), charge="2"),  # of the week before
        usage(11, datetime(2026, 3, 8, 18, 29, tzinfo=UTC), charge="3"),  # Sunday 23:59
        usage(12, datetime(2026, 3, 8, 18, 31, tzinfo=UTC), charge="100"),  # Monday: of the next report
    ]
    count(events)
    with tenant_scope(acme.pk):
        Anomaly.objects.create(
            tenant=acme, day=date(2026, 3, 3), model="o3", charge=7_000_000, expected=1_000_000, bound=2
        )
    report = scheduled(acme, asha, ben, file="csv")
    clock.move_to(MONDAY_8 - timedelta(seconds=1))
    run()
    assert mailbox.taken == []
    clock.move_to(MONDAY_8)
    run()
    assert sorted(mailbox.recipients) == [["asha@example.com"], ["ben@example.com"]]
    message = mailbox.taken[0]
    [figure] = cells(TENANT, Slice(date(2026, 3, 2), date(2026, 3, 8)))
    assert figure.charge == Decimal("15.000000000005")
    assert message["subject"] == "Weekly spend: $15.00, 2–8 Mar 2026"
    [sending] = sendings()
    assert sending.content["charge_exact"] == "$15.000000000005"
    for text in (text_of(message), re.sub(r"<[^>]+>", " ", text_of(message, "html"))):
        assert "▲ 650% against $2.00 on 23 Feb – 1 Mar 2026" in text
        for said in ("$15.00", "o3", "$7.00", "46.7%", "+$6.00", "+$7.00 (new)", "Requests", "No project spent 7.0×"):
            assert said in text, said
    [attached] = message.iter_attachments()
    assert attached.get_filename() == "spendops-t-acme00001-spend-2026-03-02-to-2026-03-08.csv"
    lines = attached.get_content().splitlines()
    assert sum(Decimal(line.split(",")[lines[0].split(",").index("charge_usd")]) for line in lines[1:]) == figure.charge
    [export] = rows(Export)
    assert (export.kind, export.query.count("by=model")) == (Kind.SPEND, 1)
    with tenant_scope(acme.pk):
        report.refresh_from_db()
    assert report.next_at == MONDAY_8 + timedelta(days=7)
    sent = AuditEvent.objects.get(kind="report.sent")
    assert (sent.after["sent"], sent.after["mails"]) == (2, 2)


def test_the_workbook_comes_whole_and_the_month_is_forecast(acme, clock, mailbox):
    asha = member(acme, "asha")
    count([usage(n, BEFORE - timedelta(days=n), charge="2") for n in range(1, 45)])
    make_forecasts()
    scheduled(acme, asha, file="xlsx", cadence="daily", name="Daily\tspend".replace("\t", " "))
    clock.move_to(MONDAY_8)
    run()
    [message] = mailbox.taken
    [attached] = message.iter_attachments()
    [export] = rows(Export)
    assert len(attached.get_content()) == export.bytes
    assert attached.get_content().startswith(b"PK")
    assert "March 2026 is likely to end at $" in text_of(message)


def test_nothing_used_is_said_in_words(acme, clock, mailbox):
    scheduled(acme, member(acme, "asha"))
    clock.move_to(MONDAY_8)
    run()
    assert mailbox.taken[0]["subject"] == "Weekly spend: $0.00, 2–8 Mar 2026"
    assert "Nothing was used." in text_of(mailbox.taken[0])


# -- once


def test_it_is_sent_once_a_due_moment_however_often_jobs_run(acme, clock, mailbox):
    report = scheduled(acme, member(acme, "asha"), cadence="daily")
    for hours in range(0, 72, 2):
        clock.move_to(BEFORE + timedelta(hours=hours))
        run()
        run()
    assert [each.due_on.isoformat() for each in sendings()] == ["2026-03-09", "2026-03-10", "2026-03-11"]
    assert len(mailbox.taken) == 3
    known = sendings()[0]
    same = {"due": known.due, "due_on": known.due_on, "first": known.first, "last": known.last, "zone": KOLKATA}
    twin = ReportSending(tenant=acme, report=report, next_at=known.due, **same)
    with tenant_scope(acme.pk), transaction.atomic(), pytest.raises(IntegrityError):
        twin.save()


def test_two_planners_at_once_make_one_sending(acme, clock):
    scheduled(acme, member(acme, "asha"))
    clock.move_to(MONDAY_8)
    with across_tenants("a test looks"):
        stale = Report.objects.select_related("tenant").get()
    assert plan_due() == 1
    with tenant_scope(acme.pk):
        assert plan(stale, timezone.now()) == 0
    assert len(sendings()) == 1


def test_an_outage_of_the_mail_server_loses_nothing_and_repeats_nothing(acme, clock, mailbox):
    scheduled(acme, member(acme, "asha"), member(acme, "ben"))
    clock.move_to(MONDAY_8)
    mailbox.answer = "451 try later"
    for minutes in (0, 1, 10, 60, 240):
        clock.move_to(MONDAY_8 + timedelta(minutes=minutes))
        run()
    assert (mailbox.taken, mailbox.tries) == ([], 10)
    assert {mail.status for mail in rows(ReportMail)} == {"waiting"}
    assert "451 try later" in rows(ReportMail)[0].error
    mailbox.answer = ""
    clock.move_to(MONDAY_8 + timedelta(hours=12))
    run()
    run()
    assert sorted(mailbox.recipients) == [["asha@example.com"], ["ben@example.com"]]
    assert [each.status for each in sendings()] == ["sent"]
    assert mailbox.taken[0]["message-id"] != mailbox.taken[1]["message-id"]


def test_a_mail_server_that_is_not_there_is_asked_again(acme, clock, settings, mailbox):
    scheduled(acme, member(acme, "asha"))
    clock.move_to(MONDAY_8)
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    run()
    assert "cannot be reached" in rows(ReportMail)[0].error
    settings.EMAIL_PORT = port
    clock.move_to(MONDAY_8 + timedelta(minutes=1))
    run()
    assert len(mailbox.taken) == 1


def test_one_who_is_refused_for_good_keeps_nobody_from_it_and_can_be_tried_again(acme, clock, mailbox):
    asha = member(acme, "asha")
    scheduled(acme, asha)
    mailbox.refused_recipient = "550 no such user"
    clock.move_to(MONDAY_8)
    run()
    [sending] = sendings()
    assert (sending.status, rows(ReportMail)[0].status) == ("failed", "failed")
    mailbox.refused_recipient = ""
    with tenant_scope(acme.pk):
        send_again(sending=sending, by=by(asha))
        with pytest.raises(RefusedError):
            send_again(sending=sending, by=by(asha))
    run()
    assert (sendings()[0].status, len(mailbox.taken)) == ("sent", 1)


def test_a_worker_that_died_leaves_its_work_to_the_next(acme, clock, mailbox, monkeypatch):
    scheduled(acme, member(acme, "asha"), file="csv")
    clock.move_to(MONDAY_8)

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    for place in ("gather", "_make_mails", "send"):
        with monkeypatch.context() as patch:
            patch.setattr(f"spend.reports.run.{place}", die)
            with pytest.raises(Killed):
                run()
        run()
        assert mailbox.taken == [], "the lease of the one that died still holds"
        clock.shift(timedelta(minutes=6))
    run()
    assert len(mailbox.taken) == 1
    assert len(rows(Export)) == 1


def test_days_on_which_nothing_ran_are_made_up_for_but_not_without_end(acme, clock, mailbox):
    scheduled(acme, member(acme, "asha"), cadence="daily")
    clock.move_to(MONDAY_8 + timedelta(days=3, hours=1))
    run()
    assert len(mailbox.taken) == 4
    clock.move_to(MONDAY_8 + timedelta(days=40))
    run()
    assert [each.due_on.isoformat() for each in sendings()][4:] == [f"2026-04-{day}" for day in range(12, 19)]


# -- whole or partial


def test_it_waits_for_whole_data_and_then_goes_out_marked_as_partial(acme, clock, mailbox):
    scheduled(acme, member(acme, "asha"), wait_hours=2)
    count([unpriced(1, datetime(2026, 3, 4, tzinfo=UTC))])
    clock.move_to(MONDAY_8)
    run()
    [sending] = sendings()
    assert (sending.status, sending.held) == ("waiting", "1 request of the period has no price.")
    clock.move_to(MONDAY_8 + timedelta(hours=1, minutes=59))
    run()
    assert mailbox.taken == []
    clock.move_to(MONDAY_8 + timedelta(hours=2))
    run()
    [message] = mailbox.taken
    assert message["subject"].endswith("(partial)")
    assert "PARTIAL: 1 request of the period has no price." in text_of(message)
    assert "Without a price: 1 request, which count as $0" in text_of(message)


def test_it_goes_out_as_soon_as_the_period_is_whole(acme, clock, mailbox, queues):
    scheduled(acme, member(acme, "asha"))
    clock.move_to(datetime(2026, 3, 8, 12, tzinfo=UTC))
    late = usage(1, datetime(2026, 3, 8, 12, tzinfo=UTC), charge="5")
    queues.send(late)
    clock.move_to(MONDAY_8)
    run()
    assert "wait to be counted" in sendings()[0].held
    queues.consume()
    clock.move_to(MONDAY_8 + timedelta(minutes=5))
    run()
    assert mailbox.taken[0]["subject"] == "Weekly spend: $5.00, 2–8 Mar 2026"


def test_while_clickhouse_is_away_it_waits(acme, clock, mailbox, settings):
    scheduled(acme, member(acme, "asha"), wait_hours=0)
    clock.move_to(MONDAY_8)
    url, settings.CLICKHOUSE_URL = settings.CLICKHOUSE_URL, "clickhouse://127.0.0.1:1/spendops"
    forget_connections()
    for hours in range(30):
        clock.move_to(MONDAY_8 + timedelta(hours=hours))
        run()
    assert "goes out by itself" in sendings()[0].held
    settings.CLICKHOUSE_URL = url
    forget_connections()
    clock.move_to(MONDAY_8 + timedelta(hours=31))
    run()
    assert len(mailbox.taken) == 1


# -- who


def test_only_members_who_see_all_spend_can_be_on_the_list(acme):
    asha, dev = member(acme, "asha"), member(acme, "dev", Membership.Role.DEVELOPER)
    stranger = member(Tenant.objects.create(name="Strangers"), "eve")
    for other in (dev, stranger):
        with pytest.raises(RefusedError, match="members of the tenant"):
            scheduled(acme, asha, other)
    with pytest.raises(RefusedError, match="at least one"), tenant_scope(acme.pk):
        schedule_report(tenant=acme, wanted=Wanted(name="Nobody"), by=by(asha))
    assert rows(Report) == []


def test_whoever_left_the_tenant_gets_nothing_even_of_what_was_on_its_way(acme, clock, mailbox):
    asha, ben = member(acme, "asha"), member(acme, "ben")
    scheduled(acme, asha, ben)
    mailbox.answer = "451 later"
    clock.move_to(MONDAY_8)
    run()
    Membership.objects.filter(user=ben).delete()
    mailbox.answer = ""
    clock.shift(timedelta(minutes=1))
    run()
    assert mailbox.recipients == [["asha@example.com"]]
    assert sorted(mail.status for mail in rows(ReportMail)) == ["left_out", "sent"]
    clock.shift(timedelta(days=7))
    run()
    assert mailbox.recipients == [["asha@example.com"]] * 2


def test_the_link_in_the_mail_unsubscribes_its_receiver_alone_and_without_signing_in(acme, clock, mailbox, settings):
    asha, ben = member(acme, "asha"), member(acme, "ben")
    report = scheduled(acme, asha, ben)
    clock.move_to(MONDAY_8)
    run()
    message = next(
        each for each, to in zip(mailbox.taken, mailbox.recipients, strict=True) if to == ["ben@example.com"]
    )
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    address = message["list-unsubscribe"].strip(" <>")
    assert address in text_of(message)
    path = address.removeprefix(settings.PUBLIC_URL)
    stranger = Client(enforce_csrf_checks=True)
    asked = stranger.get(path)
    assert (asked.status_code, b"ben@example.com" in asked.content) == (200, True)
    clock.shift(timedelta(days=7))
    run()
    assert len(mailbox.taken) == 4, "to look at the page is not to unsubscribe"
    for _ in range(2):
        assert stranger.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    clock.shift(timedelta(days=7))
    run()
    assert mailbox.recipients[4:] == [["asha@example.com"]]
    event = AuditEvent.objects.get(kind="report.unsubscribed")
    assert (event.actor_id, event.tenant_id) == (ben.pk, acme.pk)
    assert stranger.post(path[:-2] + "xx").status_code == 404
    with tenant_scope(acme.pk):
        change_report(report=report, wanted=Wanted(name="Renamed", people=[asha.pk, ben.pk]), by=by(asha))
        with pytest.raises(RefusedError, match="have not unsubscribed"):
            subscribe(report=report, by=by(asha))
    clock.shift(timedelta(days=7))
    run()
    assert len(mailbox.taken) == 6, "nobody else puts them on the list again"
    with tenant_scope(acme.pk):
        subscribe(report=report, by=by(ben))
        delete_report(report=report, by=by(asha))
    assert stranger.get(path).status_code == 404


def test_a_test_goes_to_whoever_asks_alone_and_changes_no_schedule(acme, clock, mailbox):
    asha, ben = member(acme, "asha"), member(acme, "ben")
    report = scheduled(acme, asha)
    with tenant_scope(acme.pk):
        try_report(report=report, by=by(ben))
        with pytest.raises(RefusedError, match="as a person"):
            try_report(report=report, by=Actor("service_token", "tok"))
    run()
    assert mailbox.recipients == [["ben@example.com"]]
    assert mailbox.taken[0]["subject"].startswith("Test: Weekly spend: $0.00, 2–8 Mar 2026")
    assert mailbox.taken[0]["list-unsubscribe"] is None
    clock.move_to(MONDAY_8)
    run()
    assert mailbox.recipients[1:] == [["asha@example.com"]]


def test_a_test_that_was_on_its_way_does_not_reach_one_who_left_meanwhile(acme, clock, mailbox):
    asha, ben = member(acme, "asha"), member(acme, "ben")
    report = scheduled(acme, asha)
    mailbox.answer = "451 later"
    with tenant_scope(acme.pk):
        try_report(report=report, by=by(ben))
    run()
    Membership.objects.filter(user=ben).delete()
    mailbox.answer = ""
    clock.shift(timedelta(minutes=1))
    run()
    assert mailbox.recipients == []
    assert [mail.status for mail in rows(ReportMail)] == ["left_out"]


def test_nobody_else_undoes_it_by_taking_a_person_off_the_list_and_putting_them_on_again(acme, clock, mailbox):
    asha, ben = member(acme, "asha"), member(acme, "ben")
    report = scheduled(acme, asha, ben)
    with tenant_scope(acme.pk):
        unsubscribe(recipient=report.recipients.get(user=ben))
        wanted = wanted_of(report)
        change_report(report=report, wanted=replace(wanted, people=[asha.pk]), by=by(asha))
        assert wanted_of(report).people == [asha.pk]
        with pytest.raises(RefusedError, match="have not unsubscribed"):
            subscribe(report=report, by=by(ben))
        change_report(report=report, wanted=wanted, by=by(asha))
        assert wanted_of(report).people == sorted([asha.pk, ben.pk])
    clock.move_to(MONDAY_8)
    run()
    assert mailbox.recipients == [["asha@example.com"]]


# -- changing


def test_while_paused_nothing_goes_out_and_nothing_is_made_up_for(acme, clock, mailbox):
    asha = member(acme, "asha")
    report = scheduled(acme, asha, cadence="daily")
    mailbox.answer = "451 later"
    clock.move_to(MONDAY_8)
    run()
    with tenant_scope(acme.pk):
        pause_report(report=report, by=by(asha))
        with pytest.raises(RefusedError):
            pause_report(report=report, by=by(asha))
    mailbox.answer = ""
    clock.shift(timedelta(days=3))
    run()
    assert (mailbox.taken, [each.status for each in sendings()]) == ([], ["cancelled"])
    with tenant_scope(acme.pk):
        resume_report(report=report, by=by(asha))
    run()
    assert mailbox.taken == []
    clock.shift(timedelta(days=1))
    run()
    assert len(mailbox.taken) == 1


def test_it_is_due_once_a_day_whatever_is_changed(acme, clock, mailbox):
    asha = member(acme, "asha")
    report = scheduled(acme, asha, cadence="daily")
    clock.move_to(MONDAY_8)
    run()
    with tenant_scope(acme.pk):
        again = Wanted(name="Later", cadence="daily", hour=10, people=[asha.pk])
        changed = change_report(report=report, wanted=again, by=by(asha))
        assert wanted_of(changed) == again
    assert changed.next_on == date(2026, 3, 10)
    clock.move_to(MONDAY_8 + timedelta(hours=3))
    run()
    assert len(mailbox.taken) == 1


def test_when_the_tenant_moves_to_another_zone_its_hours_move_along(acme, clock, mailbox):
    report = scheduled(acme, member(acme, "asha"), cadence="daily")
    Tenant.objects.filter(pk=acme.pk).update(time_zone="America/New_York")
    run()
    with tenant_scope(acme.pk):
        report.refresh_from_db()
    assert report.next_at.isoformat() == "2026-03-09T12:00:00+00:00"
    assert sendings() == []


def test_a_deleted_one_is_gone_and_its_name_is_free(acme, clock, mailbox):
    asha = member(acme, "asha")
    report = scheduled(acme, asha)
    with pytest.raises(RefusedError, match="this name"):
        scheduled(acme, asha)
    with tenant_scope(acme.pk):
        delete_report(report=report, by=by(asha))
        with pytest.raises(RefusedError, match="was deleted"):
            pause_report(report=report, by=by(asha))
    scheduled(acme, asha, name="Weekly spend")
    clock.move_to(MONDAY_8)
    run()
    assert len(mailbox.taken) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cadence", "hourly"), ("weekday", 7), ("month_day", 0), ("hour", 24), ("wait_hours", 49), ("file", "pdf"),
        ("group_by", "nonsense"), ("name", " "), ("name", "two\nlines"),
    ],
)  # fmt: skip
def test_what_makes_no_report_is_refused_at_its_field(acme, field, value):
    with pytest.raises(RefusedError) as refused:
        scheduled(acme, member(acme, "asha"), **{field: value})
    assert refused.value.field == field


def test_without_a_mail_server_it_is_kept_here(acme, clock):
    scheduled(acme, member(acme, "asha"))
    clock.move_to(MONDAY_8)
    run()
    [mail] = rows(ReportMail)
    assert (mail.status, mail.kept_here) == ("sent", True)
