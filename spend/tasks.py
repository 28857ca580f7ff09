"""Scheduled jobs of spend."""

from __future__ import annotations

from celery import shared_task

from spend.rerating.run import work_off_all
from spend.unpriced import note_unpriced_models

AT_MOST_SECONDS = 4  # the worker has other things to do, too


@shared_task
def collect_unpriced() -> None:
    """Bring the gateways' flags for unpriced models into SQL. A run that is lost or comes twice does no harm."""
    note_unpriced_models()


@shared_task
def go_on_with_reratings() -> None:
    """Go on with re-ratings. A run that is lost or comes twice does no harm."""
    work_off_all(seconds=AT_MOST_SECONDS)
