"""The consumer's loop: outages, throttled recounts, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

import spend.consumer
import spend.ingest
from spend.clickhouse.client import command, forget_connections
from spend.clickhouse.errors import ClickHouseError, UnavailableError
from spend.clickhouse.migrate import migrate
from spend.consumer import Consumer, UsageConsumer
from spend.models import DirtyDay
from spend.queries.denials import find_denials
from spend.queries.totals import totals
from spend.rollup import recount
from tests.engine import clickhouse_process, clickhouse_url
from tests.spend.conftest import tenant
from tests.spend.events import NOON, TENANT, denial, usage

DAY = NOON.date()


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> float:
    """Wait until something holds; how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture
def quick(transactional_db, monkeypatch):
    """No long waits in an outage. Consumers then give their SQL connection back, which needs real transactions."""
    monkeypatch.setattr(spend.consumer, "BACK_OFF_FIRST", 0.01)
    monkeypatch.setattr(spend.consumer, "BACK_OFF_MOST", 0.05)


@pytest.mark.usefixtures("clickhouse", "quick")
@pytest.mark.parametrize("failing", ["insert", "mark"])
def test_an_outage_keeps_the_batch_in_hand_and_uses_up_no_delivery(queues, monkeypatch, failing):
    queues.send(usage(1), usage(2))
    work, failures = getattr(spend.ingest, failing), iter(range(30))  # more than the queue delivers a message

    def down(*args, **kwargs):
        if next(failures, None) is not None:
            raise UnavailableError("ClickHouse does not answer.") if failing == "insert" else DatabaseError("no")
        work(*args, **kwargs)

    monkeypatch.setattr(spend.ingest, failing, down)
    queues.usage_consumer().turn()
    assert next(failures, None) is None
    assert totals(TENANT, DAY, DAY).requests == 2
    assert queues.usage["dev"].depth()[:3] == (0, 0, 0)


@pytest.mark.usefixtures("quick")
def test_a_consumer_that_is_stopped_in_an_outage_hands_its_batch_back(queues, settings):
    settings.CLICKHOUSE_URL = "clickhouse://127.0.0.1:1/spendops"
    forget_connections()
    queues.send(usage(1))
    consumer = queues.usage_consumer()
    stopper = threading.Timer(0.2, consumer.stop)
    stopper.start()
    consumer.run()
    stopper.join()
    assert queues.usage["dev"].depth()[:3] == (1, 0, 0)
    assert not DirtyDay.objects.exists()


@pytest.mark.usefixtures("clickhouse", "quick")
def test_a_recount_that_fails_is_made_again_and_does_not_keep_the_queues_waiting(queues, monkeypatch):
    work, failures = spend.consumer.recount, iter(range(5))

    def down(*args):
        if next(failures, None) is not None:
            raise ClickHouseError("no")
        return work(*args)

    monkeypatch.setattr(spend.consumer, "recount", down)
    consumer = queues.usage_consumer()
    for number in range(2):
        queues.send(usage(number))
        assert consumer.turn()
    assert queues.usage["dev"].depth()[:3] == (0, 0, 0)  # taken, while recounts fail

    def counted() -> bool:
        consumer.turn()
        return totals(TENANT, DAY, DAY).requests == 2

    wait_for(counted)


@pytest.mark.usefixtures("clickhouse", "quick")
def test_a_look_for_marks_that_fails_does_not_keep_the_queues_waiting(queues, monkeypatch):
    def down():
        raise ClickHouseError("no")

    monkeypatch.setattr(spend.consumer, "follow_zones", down)
    queues.send(usage(1))
    assert queues.usage_consumer().turn()
    assert totals(TENANT, DAY, DAY).requests == 1


@pytest.fixture
def refusing(clickhouse):
    """A way to make ClickHouse itself refuse some rows of a table."""
    tables = []

    def refuse(table: str, unless: str) -> None:
        command(f"ALTER TABLE {table} ADD CONSTRAINT test_refuses CHECK {unless}", purpose="a test")
        tables.append(table)

    yield refuse
    for table in tables:
        command(f"ALTER TABLE {table} DROP CONSTRAINT test_refuses", purpose="a test")


@pytest.mark.usefixtures("quick")
def test_only_the_events_that_clickhouse_refuses_are_put_aside(queues, refusing):
    refusing("usage_events", "key_id != 'k_bad'")
    queues.send(*(usage(number, key="k_bad" if number in (3, 8) else "k_web") for number in range(10)))
    queues.usage_consumer().turn()
    assert totals(TENANT, DAY, DAY).requests == 8
    assert queues.usage["dev"].depth()[:3] == (0, 0, 2)
    reasons = {reason for (reason,) in queues.usage["dev"]._db.execute("SELECT reason FROM dead_messages")}
    assert all(reason.startswith("refused: ClickHouse refused a statement") for reason in reasons)


@pytest.mark.usefixtures("quick")
def test_while_clickhouse_takes_nothing_no_event_is_put_aside(queues, refusing):
    refusing("usage_events", "key_id = ''")
    queues.send(usage(1), usage(2))
    queues.send(usage(3, env="prod"))
    consumer = queues.usage_consumer()
    assert consumer.turn()
    assert queues.usage["dev"].depth()[:3] == (0, 2, 0)  # later again
    assert queues.usage["prod"].depth()[:3] == (0, 1, 0)


@pytest.mark.usefixtures("quick")
def test_events_wait_for_a_table_that_is_not_there_yet(queues, clickhouse):
    queues.send(usage(1), usage(2))
    command("RENAME TABLE usage_events TO usage_events_away", purpose="a test")
    consumer = queues.usage_consumer()
    stopper = threading.Timer(0.2, consumer.stop)
    stopper.start()
    try:
        consumer.turn()
    finally:
        command("RENAME TABLE usage_events_away TO usage_events", purpose="a test")
        stopper.join()
    assert queues.usage["dev"].depth()[:3] == (2, 0, 0)


@pytest.mark.usefixtures("quick")
def test_a_day_that_cannot_be_counted_keeps_its_own_mark_only(queues, refusing):
    refusing("usage_daily", "NOT (tenant_id = 't_bad' AND day = '2026-11-19')")
    yesterday = NOON - timedelta(days=1)
    consumer = queues.usage_consumer()
    for number in range(3):
        queues.send(usage(number, yesterday, tenant="t_bad"), usage(number, NOON, tenant="t_bad"))
        queues.send(usage(number, yesterday), usage(number))

        def counted(most: int = number + 1) -> bool:
            consumer.turn()
            return totals(TENANT, DAY - timedelta(days=1), DAY).requests == 2 * most

        wait_for(counted)
    assert totals("t_bad", DAY - timedelta(days=1), DAY).requests == 3
    assert {(each.tenant_id, each.day) for each in DirtyDay.objects.all()} == {("t_bad", yesterday.date())}
    with pytest.raises(ClickHouseError):
        recount()
    assert DirtyDay.objects.count() == 1  # one stands for all


@pytest.mark.usefixtures("clickhouse")
def test_recounts_wait_while_events_keep_coming_and_the_last_is_made(queues, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(spend.consumer.time, "monotonic", lambda: now[0])
    recounts = []
    work = spend.consumer.recount
    monkeypatch.setattr(spend.consumer, "recount", lambda *args: recounts.append(now[0]) or work(*args))
    consumer = queues.usage_consumer()
    for number in range(20):
        queues.send(usage(number))
        assert consumer.turn()
        now[0] += 0.05
    assert len(recounts) == 4  # at once, then a quarter of a second apart
    now[0] += spend.consumer.RECOUNT_LEAST
    assert not consumer.turn()
    assert totals(TENANT, DAY, DAY).requests == 20


@pytest.mark.usefixtures("clickhouse")
def test_a_slow_recount_makes_the_next_one_wait_longer(queues, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(spend.consumer.time, "monotonic", lambda: now[0])
    recounts = []

    def slow(*args):
        recounts.append(now[0])
        now[0] += 2
        return 1

    monkeypatch.setattr(spend.consumer, "recount", slow)
    consumer = queues.usage_consumer()
    for _ in range(200):
        consumer.turn()
        now[0] += 0.1
    assert recounts[:3] == pytest.approx([100, 108.1, 116.2])


@pytest.mark.usefixtures("clickhouse")
def test_marks_of_an_earlier_life_and_of_others_are_counted(queues, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(spend.consumer.time, "monotonic", lambda: now[0])
    spend.ingest.store_usage([usage(1)])
    consumer = queues.usage_consumer()
    consumer.turn()
    assert totals(TENANT, DAY, DAY).requests == 1
    spend.ingest.store_usage([usage(2)])
    now[0] += spend.consumer.LOOK_FOR_MARKS_SECONDS
    for _ in range(3):
        consumer.turn()
        now[0] += spend.consumer.RECOUNT_LEAST
    assert totals(TENANT, DAY, DAY).requests == 2


@pytest.mark.usefixtures("clickhouse")
def test_a_tenant_that_moves_is_followed(queues, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(spend.consumer.time, "monotonic", lambda: now[0])
    owner = tenant(TENANT, "Pacific/Kiritimati")
    queues.send(usage(1))
    consumer = queues.usage_consumer()
    consumer.turn()
    tomorrow = DAY + timedelta(days=1)
    assert totals(TENANT, tomorrow, tomorrow).requests == 1
    type(owner).objects.update(time_zone="UTC")
    now[0] += spend.consumer.LOOK_FOR_MARKS_SECONDS
    consumer.turn()
    assert (totals(TENANT, tomorrow, tomorrow).requests, totals(TENANT, DAY, DAY).requests) == (0, 1)


@pytest.mark.usefixtures("clickhouse")
def test_one_that_only_stores_leaves_counting_to_another(queues):
    helper = UsageConsumer(queues.usage, counts=False)
    queues.send(usage(1), usage(2))
    assert helper.turn()
    assert not helper.turn()
    assert totals(TENANT, DAY, DAY).requests == 0
    queues.usage_consumer().turn()
    assert totals(TENANT, DAY, DAY).requests == 2
    with pytest.raises(CommandError, match="--store-only is for usage"):
        call_command("consume", "denials", "--store-only")


@pytest.mark.usefixtures("clickhouse")
def test_denials_are_taken_from_all_environments(queues):
    queues.send(denial(1), denial(2, env="prod"))
    assert queues.denial_consumer().turn()
    assert {row.env for row in find_denials(TENANT, DAY, DAY)} == {"dev", "prod"}
    assert not queues.denial_consumer().turn()


def _run(consumer: Consumer) -> None:
    try:
        consumer.run()
    finally:
        connection.close()


@pytest.fixture
def running(transactional_db, clickhouse, queues):
    """A consumer that runs in a thread."""
    consumer = queues.usage_consumer()
    thread = threading.Thread(target=_run, args=(consumer,))
    thread.start()
    try:
        yield consumer
    finally:
        consumer.stop()
        thread.join(30)
    assert not thread.is_alive()


def test_an_event_is_counted_within_a_second(running, queues):
    day = datetime.now(UTC).date()
    for number in range(1, 4):
        queues.send(usage(number, datetime.now(UTC)))
        assert wait_for(lambda number=number: totals(TENANT, day, day).requests == number) < 1


def test_kill_9_of_the_engine_loses_and_doubles_nothing(transactional_db, quick, queues, settings, tmp_path: Path):
    """The engine is killed again and again while events come; a consumer goes on where it was."""
    folder = tmp_path / "engine"
    folder.mkdir()
    stop = threading.Event()
    sent = []

    def gateway() -> None:
        while not stop.wait(0.005):
            sent.append(usage(len(sent), charge=f"{len(sent)}.5"))
            queues.send(sent[-1])

    consumer = queues.usage_consumer()
    threads = [threading.Thread(target=gateway), threading.Thread(target=_run, args=(consumer,))]
    for life in range(3):
        with clickhouse_process(folder) as (port, process):
            settings.CLICKHOUSE_URL = clickhouse_url(port)
            migrate()
            if life == 0:
                for thread in threads:
                    thread.start()
            known = len(sent)
            wait_for(lambda known=known: totals(TENANT, DAY, DAY).requests > known)
            process.kill()
            process.wait()
    with clickhouse_process(folder) as (port, _):
        settings.CLICKHOUSE_URL = clickhouse_url(port)
        stop.set()
        threads[0].join()
        wait_for(lambda: queues.usage["dev"].depth()[:2] == (0, 0) and not DirtyDay.objects.exists())
        consumer.stop()
        threads[1].join(30)
        found = totals(TENANT, DAY, DAY)
        forget_connections()
    assert (found.requests, found.charge) == (len(sent), sum(range(len(sent))) + len(sent) / 2)
    assert queues.usage["dev"].depth().dead == 0


def test_the_command_puts_events_that_were_set_aside_back(queues, capsys):
    queues.send(usage(1), usage(2))
    queues.usage["dev"].bury(queues.usage["dev"].claim(), "refused")
    call_command("consume", "usage", "--redeliver-dead")
    assert capsys.readouterr().out == "dev: 2 events put back.\nprod: 0 events put back.\n"
    assert queues.usage["dev"].depth()[:3] == (2, 0, 0)


def test_the_command_names_environments_that_exist():
    with pytest.raises(CommandError, match="There is no environment 'staging': choose dev, prod"):
        call_command("consume", "usage", "--env", "staging")


@pytest.mark.parametrize("kind", ["usage", "denials"])
def test_the_process_ends_cleanly_on_sigterm(transactional_db, clickhouse, queues, settings, kind, tmp_path):
    environment = os.environ | {
        "SPENDOPS_DATA": str(tmp_path),
        "SPENDOPS_CLICKHOUSE_URL": settings.CLICKHOUSE_URL,
        "SPENDOPS_LOG_LEVEL": "warning",
    }
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], env=environment, check=True, timeout=120)
    queues.send(usage(1), denial(1))
    process = subprocess.Popen([*manage, "consume", kind], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        queue = (queues.usage if kind == "usage" else queues.denials)["dev"]
        wait_for(lambda: queue.depth()[:2] == (0, 0))
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, said) == (0, "")
