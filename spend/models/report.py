"""Scheduled reports: what goes out when and to whom, and each sending of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from spend.models.export import Export
from tenants.models import Tenant
from tenants.scope import TenantManager
from wire.ids import short_id


def new_report_id() -> str:
    """An id such as `rp_4k2m9x0c1v7b`."""
    return short_id("rp")


def new_sending_id() -> str:
    """An id such as `rs_4k2m9x0c1v7b`."""
    return short_id("rs")


def new_mail_id() -> str:
    """An id such as `rm_4k2m9x0c1v7b`."""
    return short_id("rm")


class Report(models.Model):
    """A summary of spend that goes out by mail on a schedule. `next_at` is when; None while it is not active."""

    class Cadence(models.TextChoices):
        DAILY = "daily", "Daily"
        WEEKLY = "weekly", "Weekly"
        MONTHLY = "monthly", "Monthly"

    class File(models.TextChoices):
        NONE = "", "No file"
        CSV = "csv", "CSV"
        XLSX = "xlsx", "Excel (XLSX)"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"
        DELETED = "deleted", "Deleted"  # kept for its history

    id = models.CharField(primary_key=True, max_length=32, default=new_report_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=120)
    group_by = models.CharField(max_length=80)  # a dimension, see `spend.queries.dimensions`
    cadence = models.CharField(max_length=8, choices=Cadence.choices)
    weekday = models.PositiveSmallIntegerField(default=0)  # of a weekly one; Monday is 0
    month_day = models.PositiveSmallIntegerField(default=1)  # of a monthly one; where there is none, the month's last
    hour = models.PositiveSmallIntegerField(default=8)  # in the tenant's zone
    file = models.CharField(max_length=8, choices=File.choices, blank=True)  # the format of the attached file
    wait_hours = models.PositiveSmallIntegerField(default=6)  # so long it waits for a period that is not complete
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ACTIVE)
    zone = models.CharField(max_length=64)  # that `next_at` was reckoned in
    next_at = models.DateTimeField(null=True)
    next_on = models.DateField(null=True)  # the day of `next_at` in that zone
    last_on = models.DateField(null=True)  # the last day on which it was due: it is due once a day at most
    created_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], condition=~models.Q(status="deleted"), name="report_name_once_per_tenant"
            )
        ]
        indexes = [models.Index(fields=["next_at"], condition=models.Q(status="active"), name="report_due")]

    def __str__(self) -> str:
        return self.name


class ReportRecipient(models.Model):
    """A member of the tenant whom a report goes to, until they say that they want it no more."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="recipients")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    unsubscribed_at = models.DateTimeField(null=True)
    listed = models.BooleanField(default=True)  # whoever unsubscribed and is taken off the list stays unsubscribed

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["report", "user"], name="report_recipient_once")]

    def __str__(self) -> str:
        return f"{self.report_id} to {self.user_id}"


class ReportSending(models.Model):
    """One sending of a report: the job that gathers its figures, and what they were. Then it is a mail a recipient.

    Claimed with a conditional UPDATE, which moves `next_at` ahead by a lease: whoever dies leaves it to the next.
    """

    class Kind(models.TextChoices):
        SCHEDULED = "scheduled", "Scheduled"
        TEST = "test", "Test"

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"  # its figures are not gathered yet; `held` says why
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Not sent to all"
        CANCELLED = "cancelled", "Cancelled"

    id = models.CharField(primary_key=True, max_length=32, default=new_sending_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="sendings")
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.SCHEDULED)
    only_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+"
    )  # tests
    due = models.DateTimeField()
    due_on = models.DateField()  # the day of `due` in `zone`
    first = models.DateField()
    last = models.DateField()
    zone = models.CharField(max_length=64)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.WAITING)
    claim = models.CharField(max_length=32, blank=True)  # of whoever gathers its figures
    next_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    held = models.CharField(max_length=300, blank=True)
    subject = models.CharField(max_length=300, blank=True)
    content = models.JSONField(default=dict)  # what the mail says, see `spend.reports.content`
    partial = models.JSONField(default=list)  # why the period was not complete; empty: it was
    export = models.ForeignKey(Export, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["report", "due"], condition=models.Q(kind="scheduled"), name="report_sending_once_a_moment"
            ),
            models.UniqueConstraint(
                fields=["report", "due_on"], condition=models.Q(kind="scheduled"), name="report_sending_once_a_day"
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(status="waiting"), name="report_sending_waiting"),
            models.Index(fields=["report", "-due"], name="report_sending_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.report_id} due {self.due:%Y-%m-%d %H:%M}"


class ReportMail(models.Model):
    """A sending's message to one person. The row is the queue, as an alert's delivery is."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Refused"  # the mail server will never take it
        DEAD = "dead", "Given up"  # every attempt of the schedule went wrong
        LEFT_OUT = "left_out", "Left out"  # unsubscribed, or no longer a member, before it went
        CANCELLED = "cancelled", "Cancelled"

    id = models.CharField(primary_key=True, max_length=32, default=new_mail_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    sending = models.ForeignKey(ReportSending, on_delete=models.CASCADE, related_name="mails")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    address = models.EmailField()
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    error = models.CharField(max_length=300, blank=True)
    kept_here = models.BooleanField(default=False)  # no mail server is set up: it is shown, and did not leave
    sent_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sending", "user"], name="report_mail_once_per_person")]
        indexes = [models.Index(fields=["next_at"], condition=models.Q(status="waiting"), name="report_mail_waiting")]

    def __str__(self) -> str:
        return f"{self.sending_id} to {self.user_id}"
