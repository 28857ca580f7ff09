"""A year of calls on the embedded engine: its rollup counted anew, a million more through the queue, pages' questions.

What a page asks is asked through the functions that the page uses. Progress goes to stderr, as this takes a while.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from bench._measures import baseline, line, quantile, until
from bench.parts._installation import installation, say
from bench.parts._peer import SHARE, Peer, peer
from bench.parts._year import TENANTS, ZONES, fill, name_of
from tests.engine import clickhouse_process, clickhouse_url

SENT_SHARE = 20  # one event more through the queue for so many that are there
ASKED = (0, 4, 40, 200, 400)  # tenants, from the largest to one of the small ones; PostgreSQL holds them too
ROUNDS, COLD_ROUNDS = 12, 3
SEND_AT_ONCE = 5_000
EVENTS_LEAST = 100_000
STATEMENT_SECONDS = 600  # no page waits so long; statements that fill tables may
GROUPINGS = (("model", ""), ("key", "model"), ("tag:team", ""), ("end_user", ""))


def main() -> None:
    events = int(sys.argv[1])
    if events < EVENTS_LEAST:
        raise SystemExit(f"With fewer than {EVENTS_LEAST:,} events the smaller tenants have none to ask for.")
    with installation() as folder, clickhouse_process(_made(folder / "engine")) as (port, engine):
        os.environ["SPENDOPS_CLICKHOUSE_URL"] = clickhouse_url(port)
        from django.conf import settings

        settings.CLICKHOUSE_URL = clickhouse_url(port)
        from spend.clickhouse import client
        from spend.clickhouse.migrate import migrate

        client.ANSWER_SECONDS = STATEMENT_SECONDS
        migrate()
        idle_mb = _memory(engine.pid, "VmRSS")
        _tenants()
        now = datetime.now(UTC)
        began = time.perf_counter()
        fill(events, now, _told)
        filled = time.perf_counter() - began
        _rebuild(events, filled)
        more = max(1_000, events // SENT_SHARE)
        alone, _ = _ingest(more // 4)
        rate, sent = _ingest(more, "--store-only")
        _told("loading PostgreSQL")
        shared = [name_of(number) for number in range(0, TENANTS, SHARE)]
        with peer(shared, folder / "engine" / "clickhouse" / "shared.csv") as other:
            copied = baseline(
                "COPY of 5,000 rows a transaction into PostgreSQL 15, unlogged", other.insert_rate(100_000)
            )
            say(line("ingest_events_per_s", rate, "1/s", copied, events=sent, events_before=events, processes=2))
            one = baseline("with a second process that only stores", rate)
            say(line("ingest_one_process_events_per_s", alone, "1/s", one, events=more // 4))
            _pages(other, events, folder / "engine" / "clickhouse")
        peak = _memory(engine.pid, "VmHWM")
        say(line("engine_peak_mb", peak, "MB", baseline("the engine right after its start", idle_mb), events=events))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _told(what: str) -> None:
    print(
        f"bench spend, {time.strftime('%H:%M:%S')}, load {os.getloadavg()[0]:.1f}: {what}", file=sys.stderr, flush=True
    )


def _memory(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


def _tenants() -> None:
    from tenants.models import Tenant

    Tenant.objects.bulk_create(
        Tenant(id=name_of(number), name=f"Tenant {number}", time_zone=ZONES[number % len(ZONES)])
        for number in range(TENANTS)
    )


def _rebuild(events: int, filled: float) -> None:
    """The whole rollup, with the memory of the process that asks for it."""
    from spend.rebuilding import rebuild

    began = time.perf_counter()
    for done in rebuild():
        _told(f"rollup of {done.month:%Y-%m}, {done.tenants} tenants")
    compared = baseline("the events written by INSERT … SELECT inside the engine", events / filled)
    say(line("rebuild_events_per_s", events / (time.perf_counter() - began), "1/s", compared, events=events))


def _ingest(events: int, *helper: str) -> tuple[float, int]:
    """Events through the queue and a consumer's process, until all are acknowledged; their days are counted meanwhile.

    With the options of a `helper`, a second process takes from the same queue.
    """
    from django.conf import settings

    from spend.clickhouse.client import ask
    from spend.models import DirtyDay
    from spendops.ring.processes import MANAGE
    from wire.queues.base import USAGE

    before = _stored(ask)
    queue = settings.SPENDOPS.open_queue(USAGE, "prod")
    dice = random.Random(events)
    for start in range(0, events, SEND_AT_ONCE):
        queue.send(list(_sent(dice, start, min(SEND_AT_ONCE, events - start))))
    _told(f"{events:,} events are in the queue")
    command, environment = [sys.executable, MANAGE, "consume", "usage"], os.environ | {"SPENDOPS_LOG_LEVEL": "warning"}
    with ExitStack() as running:
        for options in [(), helper] if helper else [()]:
            process = running.enter_context(subprocess.Popen([*command, *options], env=environment))
            running.callback(process.terminate)
        until(lambda: queue.depth().in_flight > 0, 60)
        began = time.perf_counter()
        _wait_for_the_last(queue)
        seconds = time.perf_counter() - began
        until(lambda: not DirtyDay.objects.exists(), 120, every=0.05)
    queue.close()
    assert _stored(ask) - before == events, "events were lost or doubled"
    return events / seconds, events


def _wait_for_the_last(queue: Any) -> None:
    """Until nothing is left. Counting a long queue takes the cores that are to be measured, so it is done rarely."""
    while left := sum((depth := queue.depth())[:2]):
        assert not depth.dead
        time.sleep(min(max(left / 100_000, 0.02), 5))


def _stored(ask: Callable[..., Any]) -> int:
    """What the rollup has counted."""
    return int(ask("SELECT sum(requests) FROM usage_daily FINAL", across_tenants=True, purpose="bench")[0][0])


def _sent(dice: random.Random, start: int, count: int) -> Iterator[bytes]:
    """Calls of just now, as a gateway sends them."""
    from wire.events import UsageEvent, encode
    from wire.money import usd_string

    now = time.time_ns() // 1_000_000
    for number in range(start, start + count):
        tenant, key = int(dice.random() ** 3 * TENANTS), int(dice.random() ** 2 * 10)
        model = (tenant * 3 + key * 7 + int(dice.random() ** 2 * 4)) % 60
        words_in, words_out = dice.randrange(6000), dice.randrange(900)
        amount = usd_string(words_in * (model + 1) * 25_000 + words_out * (model + 1) * 100_000)
        random_part = (7 << 76) | (dice.getrandbits(12) << 64) | (2 << 62) | dice.getrandbits(62)
        yield encode(
            UsageEvent(
                event_id=str(uuid.UUID(int=(now << 80) | random_part)),
                ts=now,
                env="prod",
                tenant=name_of(tenant),
                project=f"p_{tenant}_{key % 4}",
                key=f"k_{tenant}_{key}",
                end_user=f"user-{dice.randrange(2000)}",
                tags={"team": f"team-{key % 7}", "feature": "chat"},
                route="/v1/chat/completions",
                provider="openai",
                model_asked=f"model-{model}",
                model_priced=f"model-{model}",
                units={"input": words_in, "output": words_out, "cache_read": 0},
                price_version=1,
                cost=amount,
                charge=amount,
                http_status=200,
                ttfb_ms=120,
                duration_ms=words_out * 9,
                streamed=number % 2 == 0,
                request_id=f"req_{dice.getrandbits(64):016x}",
                upstream_request_id=f"up_{dice.getrandbits(64):016x}",
            )
        )


def _pages(other: Peer, events: int, data: Path) -> None:
    today = datetime.now(UTC).date()
    days = (today - timedelta(days=29), today)
    before = (today - timedelta(days=59), today - timedelta(days=30))
    ids = {tenant: _ids(tenant) for tenant in map(name_of, ASKED)}
    pages: dict[str, list[tuple[Callable[[], object], Callable[[], object]]]] = {
        "overview": [
            (lambda t=t: _overview(t, days, before), lambda t=t: other.overview(t, days, before)) for t in ids
        ],
        "explore": [
            (
                lambda t=t, by=by, then=then: _explore(t, by, then, today),
                lambda t=t, by=by: other.explore(t, _column(by), days, before),
            )
            for t in ids
            for by, then in GROUPINGS
        ],
        "requests": [(lambda t=t: _requests(t, days), lambda t=t: other.requests(t, days)) for t in ids],
        "request_by_id": [
            (lambda t=t, each=each: _one(t, each), lambda t=t, each=each: other.one(t, each))
            for t, found in ids.items()
            for each in found
        ],
    }
    held = f"PostgreSQL 15 with {other.rows:,} of the events: every {SHARE}th tenant's, with all it has"
    for page, questions in pages.items():
        _told(f"questions of {page}")
        ours = _times([question for question, _ in questions], ROUNDS)
        theirs = _times([question for _, question in questions], 3)
        with _cold(data) as forget:
            cold = _times([question for question, _ in questions], COLD_ROUNDS, first=forget)
        for share, name in ((0.5, "p50"), (0.95, "p95")):
            compared = baseline(f"the same questions, warm, asked of {held}", quantile(theirs, share))
            say(line(f"{page}_{name}_ms", quantile(ours, share), "ms", compared, events=events, questions=len(ours)))
            compared = baseline("the same, warm", quantile(ours, share))
            say(line(f"{page}_cold_{name}_ms", quantile(cold, share), "ms", compared, questions=len(cold)))


def _times(questions: list[Callable[[], object]], rounds: int, first: Callable[[], None] | None = None) -> list[float]:
    """Milliseconds of each question, asked in turn; without `first` after a round that is not counted."""
    times = []
    for number in range(rounds + (first is None)):
        for question in questions:
            if first is not None:
                first()
            began = time.perf_counter()
            question()
            if number or first is not None:
                times.append((time.perf_counter() - began) * 1000)
    return times


@contextmanager
def _cold(data: Path) -> Iterator[Callable[[], None]]:
    """A way to make the engine, and the machine, forget what it read."""
    from spend.clickhouse.client import command

    caches = ("MARK CACHE", "UNCOMPRESSED CACHE", "INDEX MARK CACHE", "PRIMARY INDEX CACHE", "QUERY CONDITION CACHE")

    def forget() -> None:
        for cache in caches:
            command(f"SYSTEM DROP {cache}", purpose="bench")
        for folder, _, names in os.walk(data):  # which goes past what is merged away meanwhile
            for name in names:
                try:
                    descriptor = os.open(Path(folder) / name, os.O_RDONLY)
                except OSError:
                    continue
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)

    yield forget


def _overview(tenant: str, days: tuple[date, date], before: tuple[date, date]) -> None:
    from spend.queries.daily import daily_spend
    from spend.queries.freshness import freshness

    assert freshness(tenant).requests
    assert daily_spend(tenant, *days, group_by="model")
    assert daily_spend(tenant, *before, group_by="env")


def _explore(tenant: str, by: str, then: str, today: date) -> None:
    from spend.exploring.result import explore
    from spend.exploring.view import View
    from spend.exploring.words import Words
    from spend.periods import Choice
    from tenants.scope import tenant_scope

    view = View(by=by, then=then, choice=Choice.LAST_30_DAYS, compare=True)
    with tenant_scope(tenant):
        assert explore(tenant, view, view.period(today), keys=None, words=Words(tenant, seen=None)).rows


def _requests(tenant: str, days: tuple[date, date]) -> None:
    from spend.queries.requests import find_requests, models_used

    assert models_used(tenant)
    assert find_requests(tenant, *days, most=51)


def _one(tenant: str, event_id: str) -> None:
    from spend.queries.requests import request_by_id

    assert request_by_id(tenant, event_id)


def _ids(tenant: str) -> list[str]:
    """Some calls of a tenant, from all over its year."""
    from spend.clickhouse.client import ask

    sql = (
        "SELECT toString(event_id) FROM usage_events WHERE tenant_id = %(tenant_id)s"
        " ORDER BY cityHash64(event_id) LIMIT 10"
    )
    return [row[0] for row in ask(sql, tenant_id=tenant, purpose="bench")]


def _column(by: str) -> str:
    return {"model": "model", "key": "key_id", "tag:team": "team", "end_user": "end_user"}[by]


if __name__ == "__main__":
    main()
