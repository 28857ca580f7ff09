"""Scheduled jobs of alerts."""

from __future__ import annotations

from celery import shared_task

from alerts.actions.announcing import announce_crossings
from alerts.actions.sending import send_due


@shared_task
def send_deliveries() -> None:
    """Announce what budgets crossed, then send what is due. A run that is lost or comes twice does no harm."""
    announce_crossings()
    send_due()
