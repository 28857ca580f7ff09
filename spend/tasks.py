"""Scheduled jobs of spend."""

from __future__ import annotations

from celery import shared_task

from spend.unpriced import note_unpriced_models


@shared_task
def collect_unpriced() -> None:
    """Bring the gateways' flags for unpriced models into SQL. A run that is lost or comes twice does no harm."""
    note_unpriced_models()
