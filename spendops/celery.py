"""Celery and the whole timetable of scheduled jobs."""

from __future__ import annotations

import os
import signal
import threading
import time

from celery import Celery
from celery.schedules import crontab
from celery.signals import beat_embedded_init
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spendops.settings")

app = Celery("spendops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

app.conf.beat_schedule = {
    "sync prices": {"task": "pricing.tasks.sync_prices", "schedule": crontab(hour="3", minute="17")},
    # published about 16:00 CET on working days; asked twice, should the feed be late
    "sync exchange rates": {"task": "pricing.tasks.sync_rates", "schedule": crontab(hour="15,18", minute="37")},
    "evaluate budgets": {
        "task": "budgets.tasks.evaluate_budgets",
        "schedule": float(settings.BUDGET_TICK_SECONDS),
        # who is to be told hears of a crossing right after it is found, not a tick later
        "options": {"link": app.signature("alerts.tasks.send_deliveries", immutable=True)},
    },
    "send alerts": {"task": "alerts.tasks.send_deliveries", "schedule": float(settings.BUDGET_TICK_SECONDS)},
    "note the audit head": {"task": "changes.tasks.note_audit_head", "schedule": crontab(minute="41")},
    "forget old KV versions": {
        "task": "publishing.tasks.forget_old_versions",
        "schedule": crontab(hour="4", minute="23"),
    },
    "compare KV with SQL": {"task": "publishing.tasks.reconcile_stores", "schedule": crontab(minute="23")},
    "repair what was confirmed": {"task": "publishing.tasks.repair_confirmed", "schedule": 15.0},
    "compare what was asked for": {"task": "publishing.tasks.compare_as_asked", "schedule": 15.0},
    # asks each hour what is due, so that a week that passed while nothing ran is caught up with
    "back KV up": {"task": "publishing.tasks.back_up_stores", "schedule": crontab(minute="52")},
    "work off changes of many keys": {"task": "tenants.tasks.work_off_key_batches", "schedule": 5.0},
    "go on with imports": {"task": "spend.importing.tasks.go_on_with_imports", "schedule": 2.0},
    "settle imports": {"task": "spend.importing.tasks.settle_imports", "schedule": 60.0},
    "go on with re-ratings": {"task": "spend.tasks.go_on_with_reratings", "schedule": 5.0},
    "write exports": {"task": "spend.tasks.write_exports", "schedule": 2.0},
    "expire exports": {"task": "spend.tasks.expire_exports", "schedule": crontab(minute="7")},
    "find anomalies": {"task": "spend.tasks.find_anomalies", "schedule": 60.0},
    "forecast": {"task": "spend.tasks.forecast", "schedule": 30.0},
    "seal months": {"task": "spend.tasks.seal_months", "schedule": 5.0},
    "send scheduled reports": {"task": "spend.tasks.send_scheduled_reports", "schedule": 15.0},
    "collect unpriced models": {"task": "spend.tasks.collect_unpriced", "schedule": 30.0},
    "settle unpriced models": {"task": "spend.tasks.settle_unpriced", "schedule": 300.0},
}


@beat_embedded_init.connect
def _end_with_the_worker(**sent: object) -> None:
    """The timetable's process is the worker's child: it must not stay when that is killed, beside the next one's."""
    threading.Thread(target=_outlive_nobody, args=(os.getppid(),), name="parent-watch", daemon=True).start()


def _outlive_nobody(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
