"""Scheduled jobs of imports. A run that is lost or comes twice does no harm."""

from __future__ import annotations

from celery import shared_task

from spend.importing.run import forget_unconfirmed, settle_all_late, work_off_all

AT_MOST_SECONDS = 20  # each run reads the file from its beginning: shorter ones would read more than they import


@shared_task
def go_on_with_imports() -> None:
    """Go on with imports that are checked, brought in or withdrawn."""
    work_off_all(seconds=AT_MOST_SECONDS)


@shared_task
def settle_imports() -> None:
    """Settle imported usage against calls that came late, and forget files that nobody confirmed."""
    settle_all_late()
    forget_unconfirmed()
