"""Sending reports: a sending a due moment, then a mail a recipient. All of it is rows; a task only wakes whoever works.

A sending waits while its period is not complete, for as many hours as its report says, then goes out labelled as
partial. Its figures are gathered once and kept; the mails are made with them in one transaction, and each is then tried
by itself until the mail server takes it. Whoever dies anywhere leaves the row to the next when its lease is over.
"""

from __future__ import annotations

import secrets
import time
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from spend.clickhouse.errors import ClickHouseError, UnavailableError
from spend.exports.actions import OPEN, begin_export
from spend.exports.completeness import completeness
from spend.exports.run import work_off
from spend.exports.wanted import Kind
from spend.exports.wanted import Wanted as WantedFile
from spend.models import Export, Report, ReportMail, ReportSending
from spend.queries.slices import Each, Slice
from spend.reports.actions import plan
from spend.reports.content import gather, subject_of
from spend.reports.mail import FILE_MOST, file_name, send
from spend.reports.queries import may_see_report, people_who_may
from spend.reports.rules import GATHER_LEASE, MAIL_LEASE, SCHEDULE, look_again, next_attempt
from tenants.errors import RefusedError
from tenants.mailing import MailError
from tenants.models import Tenant
from tenants.scope import across_tenants, tenant_scope

logger = structlog.get_logger(__name__)

GATHER_ATTEMPTS = 20  # of what fails for another reason than that ClickHouse is away
_BATCH = 200
_LOOK_AGAIN = timedelta(minutes=5)  # while a period is not complete
_BY = Actor.system("spend.reports")


def send_reports(*, seconds: float, now: datetime | None = None) -> None:
    """Do what is due, for so long: plan sendings, gather figures, send mails. Safe to run several times at once."""
    ends = time.monotonic() + seconds
    plan_due(now=now)
    for work in (_gather_due, _send_due):
        work(ends=ends, now=now)


def plan_due(*, now: datetime | None = None) -> int:
    """Make the sendings that are due, and reckon anew where a tenant has moved to another zone. Returns how many."""
    at = now or timezone.now()
    with across_tenants("reports of all tenants are sent by one job"):
        moved = ~Q(zone=F("tenant__time_zone"))
        rows = Report.objects.filter(status=Report.Status.ACTIVE).exclude(tenant__status=Tenant.Status.ARCHIVED)
        due = list(rows.filter(Q(next_at__lte=at) | moved).select_related("tenant").order_by("next_at", "pk")[:_BATCH])
    made = 0
    for report in due:
        with tenant_scope(report.tenant_id):
            made += plan(report, at)
    return made


def _gather_due(*, ends: float, now: datetime | None) -> None:
    at = now or timezone.now()
    with across_tenants("reports of all tenants are sent by one job"):
        rows = ReportSending.objects.filter(status=ReportSending.Status.WAITING, next_at__lte=at)
        due = list(rows.order_by("next_at", "pk").values_list("pk", "tenant_id")[:_BATCH])
    for sending_id, tenant_id in due:
        if time.monotonic() > ends:
            return
        with tenant_scope(tenant_id):
            sending = _claim_sending(sending_id, now or timezone.now())
            if sending is not None:
                _prepare(sending, now or timezone.now())


def _claim_sending(sending_id: str, now: datetime) -> ReportSending | None:
    claim = secrets.token_hex(8)
    mine = ReportSending.objects.filter(pk=sending_id, status=ReportSending.Status.WAITING, next_at__lte=now).update(
        claim=claim, next_at=now + GATHER_LEASE, attempts=F("attempts") + 1
    )
    if not mine:
        return None
    return ReportSending.objects.select_related("report", "tenant", "export", "only_to").get(pk=sending_id)


def _mine(sending: ReportSending) -> Any:
    """The sending's row while it waits and is ours; no row otherwise."""
    return ReportSending.objects.filter(pk=sending.pk, claim=sending.claim, status=ReportSending.Status.WAITING)


def _hold(sending: ReportSending, why: str, until: datetime) -> None:
    _mine(sending).update(next_at=until, held=why[:300])


def _prepare(sending: ReportSending, now: datetime) -> None:
    """Gather what a sending says and make its mails; or note why it has to wait."""
    try:
        found = completeness(sending.tenant_id, _file_wanted(sending))
        until = sending.due + timedelta(hours=sending.report.wait_hours)
        if found.reasons and now < until and sending.kind == ReportSending.Kind.SCHEDULED:
            # looked at anew as often as it is while it waits: this is no attempt that went wrong
            _mine(sending).update(attempts=0)
            return _hold(sending, " ".join(found.reasons), min(now + _LOOK_AGAIN, until))
        file = _file(sending, now)
        if file is None:
            return _hold(sending, "Its file is being written.", now + timedelta(seconds=15))
        sending.partial = list(found.reasons)
        content = gather(sending, now=now) | file
    except UnavailableError as error:
        return _hold(sending, f"{error} It goes out by itself.", look_again(sending.attempts, now))
    except Exception as error:
        logger.exception("report not gathered", sending=sending.pk, report=sending.report_id)
        said = str(error) if isinstance(error, ClickHouseError | RefusedError) else "An error in SpendOps: see the log."
        if sending.attempts < GATHER_ATTEMPTS:
            return _hold(sending, said, look_again(sending.attempts, now))
        _mine(sending).update(status=ReportSending.Status.FAILED, held=said[:300], ended_at=now)
        return None
    return _make_mails(sending, content, now)


def _make_mails(sending: ReportSending, content: dict[str, Any], now: datetime) -> None:
    """Keep the content and make a mail for each who is to get it now, in one transaction."""
    with transaction.atomic():
        mine = _mine(sending).update(
            status=ReportSending.Status.SENDING,
            subject=subject_of(sending, content)[:300],
            content=content,
            partial=sending.partial,
            export=sending.export,
            held="",
        )
        if not mine:
            return  # it was cancelled, or somebody else made them
        for person in _people(sending):
            ReportMail.objects.create(
                tenant_id=sending.tenant_id,
                sending=sending,
                user=person,
                address=person.email,
                next_at=now,
                kept_here=settings.MAIL_TO_OUTBOX,
            )
        _settle(sending, now)


def _people(sending: ReportSending) -> list[Any]:
    """Who is to get it: subscribed, and still a member whose role sees the tenant's spend."""
    if sending.only_to is not None:
        return [sending.only_to] if may_see_report(sending.only_to, sending.tenant) else []
    wanted = sending.report.recipients.filter(unsubscribed_at=None).values("user_id")
    return list(people_who_may(sending.tenant).filter(pk__in=wanted))


def _file_wanted(sending: ReportSending) -> WantedFile:
    """The question of the attached file: each day of the period, by the report's grouping."""
    of = Slice(sending.first, sending.last, zone=sending.zone)
    return WantedFile(Kind.SPEND, of, (sending.report.group_by,), Each.DAY)


def _file(sending: ReportSending, now: datetime) -> dict[str, str] | None:
    """What the content says of the file: its name or why there is none. None while somebody else writes it."""
    if not sending.report.file:
        return {}
    if sending.export is None:
        with transaction.atomic():
            export = begin_export(
                tenant=sending.tenant, wanted=_file_wanted(sending), written=sending.report.file, by=_BY
            )
            if not _mine(sending).update(export=export):
                transaction.set_rollback(True)
                return None
        sending.export = export
    work_off(sending.export.pk)
    sending.export.refresh_from_db()
    if sending.export.status in OPEN:
        return None
    if sending.export.status == Export.Status.DONE and (name := file_name(sending.export, sending)):
        return {"file": name}
    if sending.export.status == Export.Status.DONE and sending.export.bytes > FILE_MOST:
        return {"file_note": f"The file is too large for mail: download the export {sending.export.pk} in SpendOps."}
    why = sending.export.error or "The export was cancelled or deleted."
    return {"file_note": f"There is no file with this mail. {why}"}


def _send_due(*, ends: float, now: datetime | None) -> None:
    at = now or timezone.now()
    with across_tenants("reports of all tenants are sent by one job"):
        rows = ReportMail.objects.filter(status=ReportMail.Status.WAITING, next_at__lte=at)
        due = list(rows.order_by("next_at", "pk").values_list("pk", "tenant_id")[:_BATCH])
    for mail_id, tenant_id in due:
        if time.monotonic() > ends:
            return
        with tenant_scope(tenant_id):
            mail = _claim_mail(mail_id, now or timezone.now())
            if mail is not None:
                _send(mail, now)


def _claim_mail(mail_id: str, now: datetime) -> ReportMail | None:
    """Take a mail for one attempt; None when somebody else did."""
    waiting = ReportMail.objects.filter(pk=mail_id, status=ReportMail.Status.WAITING, next_at__lte=now)
    known = ReportMail.objects.select_related("sending__report", "sending__tenant", "sending__export")
    if waiting.filter(attempts__lt=len(SCHEDULE)).update(attempts=F("attempts") + 1, next_at=now + MAIL_LEASE):
        return known.get(pk=mail_id)
    # the worker that took the last attempt died with it
    if waiting.filter(attempts__gte=len(SCHEDULE)).update(status=ReportMail.Status.DEAD):
        with transaction.atomic():
            _settle(known.get(pk=mail_id).sending, now)
    return None


def _send(mail: ReportMail, now: datetime | None) -> None:
    if not _still_wanted(mail):
        return _ended(mail, now, status=ReportMail.Status.LEFT_OUT)
    try:
        if not mail.kept_here:
            send(mail)
    except MailError as error:
        return _not_sent(mail, str(error), now, permanent=error.permanent)
    except Exception:
        # a fault of ours: it is logged in full, and the mail goes the way of every other that did not arrive
        logger.exception("report mail failed", mail=mail.pk)
        return _not_sent(mail, "An error in SpendOps, which the log describes.", now, permanent=False)
    return _ended(mail, now, status=ReportMail.Status.SENT, sent_at=now or timezone.now(), error="")


def _still_wanted(mail: ReportMail) -> bool:
    """Whether nobody took this person from the list since the mail was made, and they may still see the figures."""
    sending = mail.sending
    return mail.user_id in {person.pk for person in _people(sending)}


def _not_sent(mail: ReportMail, why: str, now: datetime | None, *, permanent: bool) -> None:
    logger.warning("report mail failed", mail=mail.pk, attempts=mail.attempts, permanent=permanent, why=why)
    again = None if permanent else next_attempt(mail.attempts, now or timezone.now())
    if again is not None:
        ReportMail.objects.filter(pk=mail.pk, status=ReportMail.Status.WAITING).update(next_at=again, error=why[:300])
        return
    _ended(mail, now, status=ReportMail.Status.FAILED if permanent else ReportMail.Status.DEAD, error=why[:300])


def _ended(mail: ReportMail, now: datetime | None, **changed: Any) -> None:
    with transaction.atomic():
        ReportMail.objects.filter(pk=mail.pk).update(**changed)
        _settle(mail.sending, now or timezone.now())


def _settle(sending: ReportSending, now: datetime) -> None:
    """Note that a sending is over, once, when none of its mails waits any more."""
    rows = list(ReportMail.objects.filter(sending=sending).values_list("status", flat=True))
    if ReportMail.Status.WAITING in rows:
        return
    failed = [status for status in rows if status in (ReportMail.Status.FAILED, ReportMail.Status.DEAD)]
    ended = ReportSending.objects.filter(pk=sending.pk, status=ReportSending.Status.SENDING).update(
        status=ReportSending.Status.FAILED if failed or not rows else ReportSending.Status.SENT,
        held="" if rows else "Nobody is left whom it goes to: choose recipients.",
        ended_at=now,
    )
    if ended:
        sent = rows.count(ReportMail.Status.SENT)
        period = f"{sending.first.isoformat()} to {sending.last.isoformat()}"
        record(
            "report.sent",
            by=_BY,
            tenant=sending.tenant_id,
            target_kind="report",
            target_id=sending.report_id,
            after={"period": period, "mails": len(rows), "sent": sent, "sending": sending.pk},
        )
