"""Scheduled jobs of tenants."""

from __future__ import annotations

from celery import shared_task

from tenants.actions.key_batches import work_off_all

AT_MOST_SECONDS = 3  # the worker has other things to do, too


@shared_task
def work_off_key_batches() -> None:
    """Go on with changes of many keys. A run that is lost or comes twice does no harm."""
    work_off_all(seconds=AT_MOST_SECONDS)
