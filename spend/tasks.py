"""Scheduled jobs of spend."""

from __future__ import annotations

from contextlib import suppress

from celery import shared_task
from django.utils import timezone

from spend.anomalies.run import look_for_anomalies
from spend.clickhouse.errors import UnavailableError
from spend.closing.run import seal_all
from spend.exports.actions import expire_exports as delete_expired
from spend.exports.run import forget_files
from spend.exports.starting import start_when_needed
from spend.forecasts.run import make_forecasts
from spend.importing.tasks import go_on_with_imports, settle_imports  # noqa: F401 - found here by Celery
from spend.reports.run import send_reports
from spend.rerating.run import work_off_all
from spend.unpriced import note_unpriced_models, settle_unpriced_models
from tenants.scope import across_tenants

AT_MOST_SECONDS = 4  # the worker has other things to do, too


@shared_task
def collect_unpriced() -> None:
    """Bring the gateways' flags for unpriced models into SQL. A run that is lost or comes twice does no harm."""
    note_unpriced_models()


@shared_task
def settle_unpriced() -> None:
    """Mark what has a price by now. While ClickHouse is away nothing is known, and the next run looks again."""
    with suppress(UnavailableError):
        settle_unpriced_models()


@shared_task
def go_on_with_reratings() -> None:
    """Go on with re-ratings. A run that is lost or comes twice does no harm."""
    work_off_all(seconds=AT_MOST_SECONDS)


@shared_task
def write_exports() -> None:
    """Start a process that writes the files that wait, unless one does. A run that comes twice does no harm."""
    start_when_needed()


@shared_task
def expire_exports() -> None:
    """Delete exported files whose time is over, and those that nobody names. A run that comes twice does no harm."""
    with across_tenants("files of every tenant expire"):
        delete_expired(timezone.now())
    forget_files()


@shared_task
def forecast() -> None:
    """Make the forecasts whose history changed. While ClickHouse is away they stay as they are."""
    with suppress(UnavailableError):
        make_forecasts(seconds=AT_MOST_SECONDS)


@shared_task
def send_scheduled_reports() -> None:
    """Send the reports that are due. A run that is lost or comes twice does no harm."""
    send_reports(seconds=AT_MOST_SECONDS)


@shared_task
def find_anomalies() -> None:
    """Look at the last days of all tenants. While ClickHouse is away nothing is known, and the next run looks again."""
    with suppress(UnavailableError):
        look_for_anomalies()


@shared_task
def seal_months() -> None:
    """Go on with months that are being sealed. A run that is lost or comes twice does no harm."""
    seal_all()
