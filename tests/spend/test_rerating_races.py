"""Workers of one re-rating that really run at the same time, with a claim that is too short for their work."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection

import spend.rerating.run as run
from spend.models import Rerating
from spend.rerating.actions import apply_dry_run
from spend.rerating.run import work_off
from spend.rollup import recount
from tenants.errors import StatusError
from tests.spend.conftest import count
from tests.spend.test_rerating import BY, Killed, check_everything, company, past, tried

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("clickhouse", "company"),
]
__all__ = ["company"]  # a fixture


def test_workers_that_take_the_job_from_each_other_end_with_the_same_sums(monkeypatch):
    monkeypatch.setattr(run, "BLOCK", 7)
    monkeypatch.setattr(run, "LEASE", timedelta(milliseconds=150))
    events = past(random.Random("threads"), 60)
    count(events)
    job = apply_dry_run(dry_run=tried(), by=BY)
    deadline, dice, insert = time.monotonic() + 90, random.Random(5), run.insert_usage

    def slow_or_killed(*args, **kwargs) -> None:
        time.sleep(dice.choice((0, 0, 0.3)))  # beyond the claim: somebody else takes the job
        insert(*args, **kwargs)
        if dice.random() < 0.1:
            raise Killed

    monkeypatch.setattr(run, "insert_usage", slow_or_killed)

    def worker() -> None:
        try:
            while Rerating.objects.get(pk=job.pk).status != Rerating.Status.DONE and time.monotonic() < deadline:
                with suppress(Killed):
                    work_off(job.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job.refresh_from_db()
    assert job.status == Rerating.Status.DONE, job.error
    while recount():
        pass
    check_everything(job, events)


def test_of_two_that_apply_at_once_one_is_refused():
    count(past(random.Random("apply"), 5))
    first, second = tried(), tried()
    outcomes: list[object] = []

    def apply(dry: Rerating) -> None:
        try:
            outcomes.append(apply_dry_run(dry_run=dry, by=BY))
        except StatusError as error:
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=apply, args=(dry,)) for dry in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(each).__name__ for each in outcomes) == ["Rerating", "StatusError"]
    assert Rerating.objects.filter(dry=False).count() == 1
