"""Reads of exports. The open scope decides whose."""

from __future__ import annotations

from django.db.models import QuerySet

from spend.exports.actions import OPEN
from spend.models import Export


def exports() -> QuerySet[Export]:
    """All exports, the newest first."""
    found: QuerySet[Export] = Export.objects.order_by("-created_at", "-id")
    return found


def export_by_id(export_id: str) -> Export | None:
    """The export with this id; None when there is none."""
    found: Export | None = Export.objects.filter(pk=export_id).first()
    return found


def is_open(export: Export) -> bool:
    """Whether its file is still to be written."""
    return export.status in OPEN
