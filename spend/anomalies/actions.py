"""Settling an anomaly: dismissing it, or saying whether it was one."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from spend.models import Anomaly
from tenants.errors import InvalidSettingError, StatusError

NOTE_MOST = 500
VERDICTS = (Anomaly.Status.DISMISSED, Anomaly.Status.EXPECTED, Anomaly.Status.CONFIRMED, Anomaly.Status.OPEN)


def settle_anomaly(*, anomaly: Anomaly, verdict: str, note: str = "", by: Actor) -> Anomaly:
    """Dismiss an anomaly, say that it was expected or a problem, or open it again ("open").

    What was expected raises the bar: the same project's model is not told again below 1.2 times of it, for four weeks.
    Raises InvalidSettingError for what is no verdict, StatusError for one that is gone.
    """
    if verdict not in VERDICTS:
        raise InvalidSettingError(f"Choose one of {', '.join(VERDICTS)}.", field="verdict")
    note = note.strip()
    if len(note) > NOTE_MOST:
        raise InvalidSettingError(f"A note has {NOTE_MOST} characters at most.", field="note")
    with transaction.atomic():
        row: Anomaly = Anomaly.objects.select_for_update().get(pk=anomaly.pk)
        if row.status == Anomaly.Status.GONE:
            raise StatusError("This day was priced anew and is no anomaly any more.")
        if (row.status, row.note) == (verdict, note):
            return row
        before = {"status": row.status, "note": row.note}
        row.status, row.note = verdict, note
        opened = verdict == Anomaly.Status.OPEN
        row.settled_by, row.settled_at = ("", None) if opened else (by.id, timezone.now())
        row.save(update_fields=["status", "note", "settled_by", "settled_at"])
        record(
            "anomaly.settled",
            by=by,
            tenant=row.tenant_id,
            target_kind="anomaly",
            target_id=row.pk,
            before=before,
            after={"status": row.status, "note": row.note},
        )
    return row
