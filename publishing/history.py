"""What documents said, kept for 90 days after it was said last."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone

from publishing.models import KvVersion

KEEP = timedelta(days=90)
PIECE = 1000


def forget_old_versions(*, now: datetime | None = None) -> int:
    """Delete what no gateway has been told for 90 days, in pieces. A document's newest version stays, however old.

    Returns how many were deleted.
    """
    limit = (now or timezone.now()) - KEEP
    successor = KvVersion.objects.filter(
        env=OuterRef("env"), key=OuterRef("key"), rev__gt=OuterRef("rev"), at__lt=limit
    )
    old = KvVersion.objects.filter(Exists(successor), at__lt=limit)
    deleted = 0
    while pks := list(old.values_list("pk", flat=True)[:PIECE]):
        deleted += KvVersion.objects.filter(pk__in=pks).delete()[0]
    return deleted
