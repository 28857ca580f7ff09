"""Reads about scheduled reports. Within a tenant's scope."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Count, Max, Q, QuerySet

from access.models import User
from spend.models import Report, ReportMail, ReportRecipient, ReportSending
from spend.reports.rules import Times
from tenants.models import Membership, Tenant
from tenants.permissions import Permission, roles_with


def times_of(report: Report) -> Times:
    """When a report is due."""
    return Times(report.cadence, report.weekday, report.month_day, report.hour)


def reports_of(tenant: Tenant) -> QuerySet[Report]:
    """A tenant's reports by name, with `people` (who get it) and `last_sent` (when it last went out by itself)."""
    rows: QuerySet[Report] = Report.objects.filter(tenant=tenant).exclude(status=Report.Status.DELETED)
    sent = Q(sendings__kind=ReportSending.Kind.SCHEDULED, sendings__mails__status=ReportMail.Status.SENT)
    return rows.annotate(
        people=Count("recipients", filter=Q(recipients__unsubscribed_at=None), distinct=True),
        last_sent=Max("sendings__mails__sent_at", filter=sent),
    ).order_by("name", "id")


def report_by_id(tenant: Tenant, report_id: str) -> Report | None:
    """A report of the tenant that was not deleted."""
    return reports_of(tenant).filter(pk=report_id).first()


def sendings_of(report: Report) -> QuerySet[ReportSending]:
    """A report's history, the newest first, with how many mails each was (`people`) and how many went (`went`)."""
    rows: QuerySet[ReportSending] = ReportSending.objects.filter(report=report)
    return _counted(rows).order_by("-due", "-id")


def recent_sendings(tenant: Tenant) -> QuerySet[ReportSending]:
    """What was or is being sent of all the tenant's reports, the newest first."""
    rows: QuerySet[ReportSending] = ReportSending.objects.filter(tenant=tenant)
    return _counted(rows).select_related("report").order_by("-due", "-id")


def sending_by_id(tenant: Tenant, sending_id: str) -> ReportSending | None:
    """A sending of one of the tenant's reports."""
    return recent_sendings(tenant).select_related("export").filter(pk=sending_id).first()


def _counted(rows: QuerySet[ReportSending]) -> QuerySet[ReportSending]:
    return rows.annotate(people=Count("mails"), went=Count("mails", filter=Q(mails__status=ReportMail.Status.SENT)))


def may_see_report(user: User, tenant: Tenant) -> bool:
    """Whether a person may see the tenant's spend now: as a member, or as a platform admin."""
    roles = [role.value for role in roles_with([Permission.SPEND_VIEW])]
    own = Membership.objects.filter(Q(tenant=tenant) | Q(tenant=None), user=user, role__in=roles)
    return user.is_active and own.exists()


class Person(NamedTuple):
    """A person on a report's list."""

    id: str
    name: str
    address: str
    subscribed: bool
    may_see: bool  # whether they are still a member who may see the tenant's spend


def people_who_may(tenant: Tenant) -> QuerySet[User]:
    """The members whom reports may go to: active, and of a role that sees all of the tenant's spend."""
    roles = [role.value for role in roles_with([Permission.SPEND_VIEW])]
    ids = Membership.objects.filter(tenant=tenant, role__in=roles).values("user_id")
    return User.objects.filter(id__in=ids, is_active=True).order_by("name", "email")


def people_of(report: Report) -> list[Person]:
    """Who is on a report's list, by name."""
    may = set(people_who_may(report.tenant).values_list("pk", flat=True))
    rows: Any = ReportRecipient.objects.filter(report=report, listed=True).select_related("user")
    rows = rows.order_by("user__name", "user_id")
    return [
        Person(
            row.user_id,
            row.user.name or row.user.email,
            row.user.email,
            row.unsubscribed_at is None,
            row.user_id in may,
        )
        for row in rows
    ]
