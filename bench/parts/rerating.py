"""So many events of some tenants on the embedded engine, priced anew: the throughput, and the worker's memory.

Half of the events are unpriced, the others were priced by a wrong price, so that every one is written again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from bench._measures import baseline, line
from bench.parts._installation import installation, say
from tests.engine import clickhouse_process, clickhouse_url

TENANTS = 8
DAYS = 30
AT_ONCE = 100_000
MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-4.1")

_FILL = """
INSERT INTO usage_events (
    event_id, rev, ts, env, tenant_id, project_id, key_id, route, provider, model_asked, model_priced, units,
    input_tokens, output_tokens, cached_tokens, price_version, override_version, cost, charge, usage_source, kind,
    status, http_status, ttfb_ms, duration_ms, request_id, upstream_request_id, end_user, tags
)
WITH
    number + %(start)s AS n,
    toDateTime64(%(begin)s, 3, 'UTC') + toIntervalMillisecond(intDiv(n * %(span)s, %(events)s)) AS at,
    arrayElement(%(models)s, n %% 4 + 1) AS model,
    sipHash64(n) %% 4000 + 100 AS words_in,
    sipHash64(n, 1) %% 800 AS words_out,
    sipHash64(n, 2) %% 2 = 0 AS priced
SELECT
    generateUUIDv4(n), 1, at, if(n %% 3 = 0, 'dev', 'prod'), arrayElement(%(tenants)s, n %% %(many)s + 1),
    concat('p_', toString(n %% 5)), concat('k_', toString(n %% 40)), '/v1/chat/completions', 'openai', model,
    if(priced, model, ''), map('input', words_in, 'output', words_out, 'cache_read', 128),
    words_in + 128, words_out, 128, 1, 0, if(priced, toDecimal128('0.5', 12), NULL),
    if(priced, toDecimal128('0.5', 12), NULL), 'provider', 'call', 'ok', 200, 120, 840,
    concat('req_', lower(hex(sipHash64(n, 3)))), concat('up_', lower(hex(sipHash64(n, 4)))), 'u-42',
    map('feature', 'summary')
FROM numbers(%(count)s)
"""


def main() -> None:
    events = int(sys.argv[1])
    with installation() as folder, clickhouse_process(_made(folder / "engine")) as (port, _):
        os.environ["SPENDOPS_CLICKHOUSE_URL"] = clickhouse_url(port)
        from django.conf import settings

        settings.CLICKHOUSE_URL = clickhouse_url(port)
        from changes.actor import Actor
        from pricing.actions.sync import sync_prices
        from pricing.sources import INSTALLED
        from spend.clickhouse.migrate import migrate

        migrate()
        sync_prices(INSTALLED, by=Actor.system("bench"))
        end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        begin = end - timedelta(days=DAYS)
        _fill(events, begin, end)
        reading = _reading_rate(begin, end)
        first, last = begin.date(), end.date()
        dry = _rerated(first, last, "--dry-run")
        real = _rerated(first, last)
        assert dry.changed == real.changed == real.events == events, (dry, real)
        idle = _rerated(date(2001, 1, 1), date(2001, 1, 1), "--dry-run")
        compared = baseline("the same events read one by one without pricing", reading)
        say(line("events_per_s", events / real.seconds, "1/s", compared, events=events, seconds=round(real.seconds, 1)))
        say(line("dry_events_per_s", events / dry.seconds, "1/s", compared, events=events))
        say(line("peak_mb", real.peak_mb, "MB", baseline("a re-rating of no event", idle.peak_mb), events=events))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


class Done:
    """What one run of the command did."""

    def __init__(self, said: dict[str, Any], seconds: float, peak_mb: float) -> None:
        self.events, self.changed = said["events"], said["changed"]
        self.seconds, self.peak_mb = seconds, peak_mb


def _fill(events: int, begin: datetime, end: datetime) -> None:
    from spend.clickhouse.client import command

    parameters = {
        "begin": f"{begin:%Y-%m-%d %H:%M:%S}",
        "span": int((end - begin).total_seconds() * 1000),
        "events": events,
        "models": list(MODELS),
        "tenants": [f"t_bench{number:05d}" for number in range(TENANTS)],
        "many": TENANTS,
    }
    for start in range(0, events, AT_ONCE):
        count = min(AT_ONCE, events - start)
        command(_FILL, parameters | {"start": start, "count": count}, purpose="bench")


def _reading_rate(begin: datetime, end: datetime) -> float:
    """Events a second, when a worker only reads them."""
    from spend.queries.rerating import events_in, windows_from
    from spend.rerating.run import BLOCK
    from spend.rerating.scope import Cursor, Scope
    from spend.zones import ms_of

    scope, cursor = Scope(ms_of(begin), ms_of(end)), Cursor()
    read, began = 0, time.perf_counter()
    while windows := list(windows_from(scope, cursor, most=BLOCK)):
        for window in windows:
            read += len(events_in(scope, window, Cursor(window.tenant), most=BLOCK))
        cursor = Cursor(windows[-1].tenant, windows[-1].end)
    return read / (time.perf_counter() - began)


def _rerated(first: date, last: date, *options: str) -> Done:
    """Run the command in a process of its own, which shows its progress."""
    from spendops.ring.processes import MANAGE

    command = [sys.executable, MANAGE, "rerate", "--from", first.isoformat(), "--to", last.isoformat()]
    began = time.perf_counter()
    with subprocess.Popen([*command, *options, "--wait", "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("The re-rating failed.")
    return Done(json.loads(said), time.perf_counter() - began, used.ru_maxrss / 1024)  # as VmHWM in /proc


if __name__ == "__main__":
    main()
