"""Scheduling a report, changing, pausing and trying it; who gets it. The sending itself is in `spend.reports.run`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.utils import timezone

from access.models import User
from changes.actor import Actor
from changes.record import record
from spend.models import Report, ReportMail, ReportRecipient, ReportSending
from spend.queries.dimensions import dimension
from spend.reports.queries import people_who_may, times_of
from spend.reports.rules import CATCH_UP, MONTHLY, WAIT_MOST, WEEKLY, Times, next_due, period_before
from tenants.actions.standing import hold_open
from tenants.errors import InvalidSettingError, NameTakenError, StatusError
from tenants.models import Tenant
from tenants.rules import clean_name
from wire.display import counted

REPORTS_MOST = 50  # of a tenant
PEOPLE_MOST = 50  # of a report
TESTS_MOST = 3  # that wait at a time

UNSENT = (ReportSending.Status.WAITING, ReportSending.Status.SENDING)


@dataclass(frozen=True)
class Wanted:
    """What a report is to be. `people` are the ids of members."""

    name: str
    group_by: str = "model"
    cadence: str = "weekly"
    weekday: int = 0
    month_day: int = 1
    hour: int = 8
    file: str = ""
    wait_hours: int = 6
    people: Sequence[str] = ()

    @property
    def times(self) -> Times:
        return Times(self.cadence, self.weekday, self.month_day, self.hour)


def schedule_report(*, tenant: Tenant, wanted: Wanted, by: Actor, now: datetime | None = None) -> Report:
    """Let a report go out from its next due moment on. Raises RefusedError."""
    known = _checked(wanted)
    with transaction.atomic():
        held = hold_open(tenant.id)
        if Report.objects.filter(tenant=tenant).exclude(status=Report.Status.DELETED).count() >= REPORTS_MOST:
            raise StatusError(f"{REPORTS_MOST} reports are the most: delete one that nobody reads.")
        people = _people(held, known.people)
        due = next_due(known.times, held.time_zone, after=now or timezone.now())
        report = Report(
            tenant=held, zone=held.time_zone, next_at=due.at, next_on=due.day, created_by=by.id, **_fields(known)
        )
        _save(report)
        for person in people:
            ReportRecipient.objects.create(tenant=held, report=report, user=person)
        _record("report.scheduled", report, by, after=_said(known))
    return report


def change_report(*, report: Report, wanted: Wanted, by: Actor, now: datetime | None = None) -> Report:
    """Change a report. Whoever unsubscribed stays so, also when they are listed again. Raises RefusedError."""
    known = _checked(wanted)
    with transaction.atomic():
        held = hold_open(report.tenant_id)
        row = _held(report)
        before = wanted_of(row)
        kept = {each.user_id: each for each in row.recipients.all()}
        listed = {id for id, each in kept.items() if each.listed}
        people = _people(held, known.people, known_already=listed)
        if before == replace(known, people=sorted(known.people)):
            return row
        for name, value in _fields(known).items():
            setattr(row, name, value)
        if row.status == Report.Status.ACTIVE:
            _plan(row, held.time_zone, now or timezone.now())
        _save(row)
        wanted_ids = {person.pk for person in people} | (listed & set(known.people))
        others = row.recipients.exclude(user_id__in=wanted_ids)
        others.filter(unsubscribed_at=None).delete()
        others.update(listed=False)
        row.recipients.filter(user_id__in=wanted_ids).update(listed=True)
        for person in people:
            if person.pk not in kept:
                ReportRecipient.objects.create(tenant=held, report=row, user=person)
        _record("report.changed", row, by, before=_said(before), after=_said(known))
    return row


def pause_report(*, report: Report, by: Actor) -> Report:
    """Let nothing of a report go out any more until it is resumed; what is on its way is cancelled."""
    with transaction.atomic():
        row = _held(report)
        if row.status == Report.Status.PAUSED:
            raise StatusError("This report is paused already.")
        row.status, row.next_at, row.next_on = Report.Status.PAUSED, None, None
        row.save(update_fields=["status", "next_at", "next_on"])
        _record("report.paused", row, by, after={"cancelled": _cancel(row)})
    return row


def resume_report(*, report: Report, by: Actor, now: datetime | None = None) -> Report:
    """Let a paused report go out from its next due moment on: what was due meanwhile is not made up for."""
    with transaction.atomic():
        held = hold_open(report.tenant_id)
        row = _held(report)
        if row.status == Report.Status.ACTIVE:
            raise StatusError("This report is not paused.")
        row.status = Report.Status.ACTIVE
        _plan(row, held.time_zone, now or timezone.now())
        row.save(update_fields=["status", "zone", "next_at", "next_on"])
        _record("report.resumed", row, by)
    return row


def delete_report(*, report: Report, by: Actor) -> None:
    """Let a report never go out again; what is on its way is cancelled, and its history is kept in the audit trail."""
    with transaction.atomic():
        row = _held(report)
        row.status, row.next_at, row.next_on = Report.Status.DELETED, None, None
        row.save(update_fields=["status", "next_at", "next_on"])
        _record("report.deleted", row, by, before=_said(wanted_of(row)), after={"cancelled": _cancel(row)})


def try_report(*, report: Report, by: Actor, now: datetime | None = None) -> ReportSending:
    """Send a report now, to whoever asks for it and nobody else. Raises RefusedError."""
    now = now or timezone.now()
    with transaction.atomic():
        held = hold_open(report.tenant_id)
        row = _held(report)
        person = User.objects.filter(pk=by.id, is_active=True).first() if by.kind == "user" else None
        if person is None:
            raise InvalidSettingError("A test goes to whoever asks for it: ask for it as a person.")
        if row.sendings.filter(kind=ReportSending.Kind.TEST, status__in=UNSENT).count() >= TESTS_MOST:
            raise StatusError("Some tests of this report are on their way already: wait for them.")
        today = now.astimezone(ZoneInfo(held.time_zone)).date()
        sending = _sending(row, held.time_zone, due=now, day=today, kind=ReportSending.Kind.TEST)
        sending.only_to = person
        sending.save(force_insert=True)
        _record("report.tested", row, by)
    return sending


def unsubscribe(*, recipient: ReportRecipient) -> None:
    """Send a report to this person no more. Asked for by whoever holds the link of their mail; once is enough."""
    with transaction.atomic():
        done = ReportRecipient.objects.filter(pk=recipient.pk, unsubscribed_at=None).update(
            unsubscribed_at=timezone.now()
        )
        if done:
            by = Actor("user", recipient.user_id)
            _record("report.unsubscribed", recipient.report, by, after={"user_id": recipient.user_id})


def subscribe(*, report: Report, by: Actor) -> None:
    """Send a report to somebody again who had unsubscribed. Only they themselves may say so. Raises StatusError."""
    with transaction.atomic():
        row = _held(report)
        if by.kind != "user" or not row.recipients.filter(user_id=by.id, listed=True).exclude(
            unsubscribed_at=None
        ).update(unsubscribed_at=None):
            raise StatusError("You have not unsubscribed from this report.")
        _record("report.subscribed", row, by, after={"user_id": by.id})


def send_again(*, sending: ReportSending, by: Actor) -> None:
    """Send the mails of a sending that were refused or given up once more. Raises StatusError."""
    ended = (ReportMail.Status.FAILED, ReportMail.Status.DEAD)
    with transaction.atomic():
        row = _held(sending.report)
        again = ReportMail.objects.filter(sending=sending, status__in=ended).update(
            status=ReportMail.Status.WAITING, attempts=0, next_at=timezone.now(), error=""
        )
        gathering = not again and ReportSending.objects.filter(
            pk=sending.pk, status=ReportSending.Status.FAILED, content={}
        ).update(status=ReportSending.Status.WAITING, attempts=0, next_at=timezone.now(), held="", ended_at=None)
        if not again and not gathering:
            raise StatusError("Nothing of this sending can be sent again: it arrived, is on its way, or was cancelled.")
        if again:
            ReportSending.objects.filter(pk=sending.pk).update(status=ReportSending.Status.SENDING, ended_at=None)
        _record("report.sent_again", row, by, after={"sending": sending.pk, "mails": again})


def plan(report: Report, now: datetime) -> int:
    """Make the sendings of a report that are due, and note when the next is. Returns how many.

    Of several workers at once one does it: whoever moves `next_at`. What was due more than a week ago, while nothing
    ran, is left out, the latest excepted. For the job; across or within the tenant's scope.
    """
    times, tenant = times_of(report), report.tenant
    made: list[ReportSending] = []
    at, day, last = report.next_at, report.next_on, report.last_on
    while at is not None and day is not None and at <= now:
        made.append(_sending(report, report.zone, due=at, day=day))
        last = day
        day, at = next_due(times, report.zone, after=at, after_day=day)
    following = next_due(times, tenant.time_zone, after=now, after_day=last)
    with transaction.atomic():
        moved = Report.objects.filter(
            pk=report.pk, status=Report.Status.ACTIVE, next_at=report.next_at, zone=report.zone
        ).update(next_at=following.at, next_on=following.day, last_on=last, zone=tenant.time_zone)
        if not moved:
            return 0
        wanted = [each for each in made if each.due > now - CATCH_UP] or made[-1:]
        for each in wanted:
            each.save(force_insert=True)
    return len(wanted)


def wanted_of(report: Report) -> Wanted:
    """What a report is."""
    people = sorted(report.recipients.filter(listed=True).values_list("user_id", flat=True))
    names = ("name", "group_by", "cadence", "weekday", "month_day", "hour", "file", "wait_hours")
    return Wanted(**{name: getattr(report, name) for name in names}, people=people)


def _sending(
    report: Report, zone: str, *, due: datetime, day: date, kind: ReportSending.Kind = ReportSending.Kind.SCHEDULED
) -> ReportSending:
    first, last = period_before(report.cadence, day)
    return ReportSending(
        tenant_id=report.tenant_id,
        report=report,
        kind=kind,
        due=due,
        due_on=day,
        first=first,
        last=last,
        zone=zone,
        next_at=due,
    )


def _plan(row: Report, zone: str, now: datetime) -> None:
    due = next_due(times_of(row), zone, after=now, after_day=row.last_on)
    row.zone, row.next_at, row.next_on = zone, due.at, due.day


def _checked(wanted: Wanted) -> Wanted:
    """The same with a name that was tidied up. Raises RefusedError."""
    if wanted.cadence not in Report.Cadence.values:
        raise InvalidSettingError(f"Choose one of {', '.join(Report.Cadence)}.", field="cadence")
    bounds = {"weekday": (0, 6), "month_day": (1, 31), "hour": (0, 23), "wait_hours": (0, WAIT_MOST)}
    for name, (least, most) in bounds.items():
        if not least <= getattr(wanted, name) <= most:
            raise InvalidSettingError(f"Choose a number from {least} to {most}.", field=name)
    if wanted.file not in Report.File.values:
        raise InvalidSettingError("The attached file is csv or xlsx, or none.", field="file")
    try:
        dimension(wanted.group_by)
    except ValueError as error:
        raise InvalidSettingError(str(error), field="group_by") from error
    return replace(wanted, name=clean_name(wanted.name, what="report"))


def _people(tenant: Tenant, ids: Sequence[str], *, known_already: Collection[str] = ()) -> list[User]:
    """The members with these ids. Whoever is on the list already may stay there, whatever became of them."""
    if not ids:
        raise InvalidSettingError("Choose at least one person.", field="people")
    if len(set(ids)) > PEOPLE_MOST:
        raise InvalidSettingError(f"{counted(PEOPLE_MOST, 'person', 'people')} are the most.", field="people")
    found = list(people_who_may(tenant).filter(pk__in=ids))
    if set(ids) - {person.pk for person in found} - set(known_already):
        raise InvalidSettingError(
            "Reports go to members of the tenant whose role sees all of its spend, and to nobody else.", field="people"
        )
    return found


def _fields(wanted: Wanted) -> dict[str, Any]:
    return {name: value for name, value in asdict(wanted).items() if name != "people"}


def _said(wanted: Wanted) -> dict[str, Any]:
    """What the trail keeps of a schedule: what matters for its cadence."""
    told = asdict(wanted) | {"people": sorted(wanted.people)}
    if wanted.cadence != WEEKLY:
        del told["weekday"]
    if wanted.cadence != MONTHLY:
        del told["month_day"]
    return told


def _save(report: Report) -> None:
    try:
        with transaction.atomic():
            report.save()
    except IntegrityError as error:
        raise NameTakenError("Another report has this name: choose another one.", field="name") from error


def _held(report: Report) -> Report:
    """The report, locked until the transaction ends. Raises StatusError for one that was deleted meanwhile."""
    row: Report = Report.objects.select_for_update().get(pk=report.pk)
    if row.status == Report.Status.DELETED:
        raise StatusError("This report was deleted. Nothing was changed.")
    return row


def _cancel(report: Report) -> int:
    """Cancel what is on its way. Returns how many sendings that were."""
    mails = ReportMail.objects.filter(sending__report=report, status=ReportMail.Status.WAITING)
    mails.update(status=ReportMail.Status.CANCELLED)
    return int(
        ReportSending.objects.filter(report=report, status__in=UNSENT).update(
            status=ReportSending.Status.CANCELLED, ended_at=timezone.now()
        )
    )


def _record(kind: str, report: Report, by: Actor, **said: Any) -> None:
    record(kind, by=by, tenant=report.tenant_id, target_kind="report", target_id=report.pk, **said)
