"""The audit trail's words for scheduled reports."""

from __future__ import annotations

from collections.abc import Collection

from changes.trail import Names, Noun, register
from spend.models import Report


def _reports(ids: Collection[str]) -> Names:
    return dict(Report.objects.filter(pk__in=ids).values_list("pk", "name"))


def _find_reports(text: str) -> Collection[str]:
    return list(Report.objects.filter(name__icontains=text).values_list("pk", flat=True)[:200])


register(
    nouns={"report": Noun("Report", _reports, _find_reports)},
    sentences={
        "report.scheduled": "{actor} scheduled the report {target}",
        "report.changed": "{actor} changed the report {target}",
        "report.paused": "{actor} paused the report {target}",
        "report.resumed": "{actor} resumed the report {target}",
        "report.deleted": "{actor} deleted the report {target}",
        "report.tested": "{actor} sent themselves a test of the report {target}",
        "report.sent": "{actor} sent the report {target} for {after[period]}: {after[sent]} of {after[mails]} mails",
        "report.sent_again": "{actor} had the report {target} sent again",
        "report.unsubscribed": "{actor} unsubscribed from the report {target}",
        "report.subscribed": "{actor} subscribed to the report {target} again",
    },
    labels={"group_by": "Grouped by", "wait_hours": "Waits for whole data (hours)", "people": "Recipients"},
)
