"""Consumers that store the same calls at the same time while one month after another is sealed under them."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

import spend.closing.booking as booking_of
import spend.ingest as ingest
from spend.clickhouse.client import ask
from spend.clickhouse.errors import UnavailableError
from spend.closing.run import seal_all
from spend.closing.statement import Span
from spend.closing.verify import differences
from spend.models import Booking, MonthSeal, Statement
from spend.rollup import recount
from tenants.scope import across_tenants
from tests.spend.conftest import count, tenant
from tests.spend.events import TENANT, usage

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clickhouse")]

MONTHS = 4  # June to September 2026


@pytest.mark.parametrize("seed", range(3))
def test_no_call_is_lost_or_counted_twice_however_seals_and_consumers_meet(seed, monkeypatch, queues):
    tenant(TENANT)
    dice = random.Random(seed)
    begin = datetime(2026, 6, 2, tzinfo=UTC)
    calls = [usage(n, begin + timedelta(days=30 * dice.randrange(MONTHS), seconds=n)) for n in range(150)]
    count([usage(999, begin)])
    failures = list[BaseException]()
    insert = ingest.insert_usage

    def slow(events, *, purpose) -> None:
        time.sleep(dice.choice((0, 0, 0.05, 0.2)))  # long enough for a month to be sealed meanwhile
        insert(events, purpose=purpose)

    monkeypatch.setattr(ingest, "insert_usage", slow)
    monkeypatch.setattr(booking_of, "WAIT_SECONDS", 1.0)

    def consumer(number: int) -> None:
        mine = random.Random(f"{seed} {number}")
        try:
            for _ in range(20):
                batch = mine.sample(calls, 15)
                while True:
                    try:
                        ingest.store_usage(batch)
                        break
                    except UnavailableError:
                        continue
            for first in range(0, len(calls), 50):  # whatever was never sent yet
                ingest.store_usage(calls[first : first + 50])
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    def sealer() -> None:
        mine = random.Random(f"{seed} sealer")
        try:
            with across_tenants("tests"):
                for month in range(6, 6 + MONTHS):
                    time.sleep(mine.random() * 0.6)
                    span = Span.of(date(2026, month, 1), "UTC")  # at once, however much is on its way
                    MonthSeal.objects.create(
                        tenant_id=TENANT,
                        month=span.month,
                        zone=span.zone,
                        begin_ms=span.begin_ms,
                        end_ms=span.end_ms,
                        currency="USD",
                        complete_ms=span.end_ms,
                        created_by="u",
                    )
                    while MonthSeal.objects.filter(state="sealing").exists():
                        seal_all()
                        recount()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=consumer, args=(number,)) for number in range(3)]
    threads.append(threading.Thread(target=sealer))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with across_tenants("tests"):
        assert Statement.objects.count() == MONTHS
        for statement in Statement.objects.all():
            assert differences(statement) == []
    assert not Booking.objects.exists()
    sql = "SELECT if(adjusts = '', toString(event_id), adjusts) AS id, count() FROM usage_events FINAL GROUP BY id"
    stored = ask(sql, across_tenants=True, purpose="test")
    assert {found for found, _ in stored} == {event.event_id for event in [*calls, usage(999, begin)]}
    assert [found for found, times in stored if times > 1] == []
