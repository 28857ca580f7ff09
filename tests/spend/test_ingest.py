"""From a queue into ClickHouse: delivered at least once, counted exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spend.consumer
import spend.ingest
from spend.clickhouse.client import ask
from spend.consumer import UsageConsumer
from spend.models import DirtyDay
from spend.queries.denials import find_denials
from spend.queries.requests import find_requests, request_by_id
from spend.queries.totals import totals
from tests.spend.events import NOON, TENANT, denial, unpriced, usage
from wire.events import Denied, Status, UsageEvent, UsageSource, encode

pytestmark = pytest.mark.usefixtures("clickhouse")
DAY = NOON.date()
COST = Decimal("0.00004155")


class Crash(BaseException):
    """The process is gone: nothing in it may catch this."""


def rows_in(table: str) -> int:
    return ask(f"SELECT count() FROM {table} FINAL", purpose="test", across_tenants=True)[0][0]


def test_every_field_of_a_usage_event_arrives(queues):
    event = usage(
        rev=3,
        env="prod",
        end_user="ü—\n'user'",
        tags={"team": "søk", "quote": "it's \\ %s %(x)s"},
        tier="frontier",
        model_priced="openai/gpt-4o-mini",
        units={"input": 7, "cache_read": 5, "audio_cache_read": 2, "reasoning": 4, "web_searches": 1},
        price_version=2**32 - 1,
        override_version=9,
        cost="12345678901234567890.123456789012",
        charge="-0.000000000001",
        usage_source=UsageSource.ESTIMATED,
        kind="adjustment",
        calls=7,
        adjusts="an event",
        source="a file",
        service_tier="flex",
        session="s-1",
        credential="c-1",
        upstream_request_id="up-1",
        status=Status.INTERRUPTED,
        http_status=599,
        ttfb_ms=1,
        duration_ms=2**32 - 1,
        streamed=True,
        cached=True,
        request_id="r-1",
    )
    queues.send(event)
    queues.consume()
    row = request_by_id(TENANT, event.event_id)
    assert row is not None
    as_sent = msgspec.to_builtins(event)
    for name in set(row._fields) - {
        "event_id",
        "ts",
        "cost",
        "charge",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
    }:
        assert getattr(row, name) == as_sent[name], name
    assert (str(row.event_id), row.ts) == (event.event_id, NOON)
    assert (row.cost, row.charge) == (Decimal(event.cost), Decimal("-0.000000000001"))
    assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (14, 4, 7)


def test_every_column_of_an_event_has_its_field():
    columns = {row[0] for row in ask("DESCRIBE usage_events", purpose="test", across_tenants=True)}
    assert columns == set(spend.ingest._usage_columns([usage()])) | {"ingested_at"}
    columns = {row[0] for row in ask("DESCRIBE denial_events", purpose="test", across_tenants=True)}
    assert columns == set(spend.ingest._denial_columns([denial()])) | {"ingested_at"}


def test_every_field_of_a_denial_arrives(queues):
    event = denial(
        env="prod",
        reason=Denied.MODEL_NOT_ALLOWED,
        revs={"key:ab": 3, "tenant:t": 2**40},
        http_status=403,
        request_id="r",
    )
    queues.send(event)
    queues.consume()
    (row,) = find_denials(TENANT, DAY, DAY)
    as_sent = msgspec.to_builtins(event)
    for name in set(row._fields) - {"event_id", "ts"}:
        assert getattr(row, name) == as_sent[name], name
    assert (str(row.event_id), row.ts) == (event.event_id, NOON)


def test_an_event_without_a_price_has_no_cost(queues):
    event = unpriced()
    queues.send(event)
    queues.consume()
    row = request_by_id(TENANT, event.event_id)
    assert (row.cost, row.charge, row.model_priced) == (None, None, "")
    assert totals(TENANT, DAY, DAY)[:6] == (1, 21, 64, 0, 0, 0)
    assert totals(TENANT, DAY, DAY).unpriced_requests == 1
    assert totals(TENANT, DAY, DAY).unpriced_tokens == 85


def test_the_same_messages_again_change_nothing(queues):
    events = [usage(number, charge=f"{number}.000000000001") for number in range(50)]
    queues.send(*events)
    queues.consume()
    once = totals(TENANT, DAY, DAY)
    queues.send(*events)
    queues.send(*events[20:], usage(99, at=NOON - timedelta(hours=1)))
    queues.consume()
    again = totals(TENANT, DAY, DAY)
    assert once.requests == 50
    assert once.charge == Decimal(sum(range(50))) + 50 * Decimal("0.000000000001")
    assert (again.requests, again.charge) == (51, once.charge + COST)
    assert rows_in("usage_events") == 51


@dataclass
class Step:
    """Where a consumer dies: before or after it has done one of its steps."""

    module: Any
    name: str
    after: bool


STEPS = [
    Step(module, name, after)
    for module, name in [
        (spend.ingest, "insert"),
        (spend.ingest, "mark"),
        (spend.consumer, "recount"),
    ]
    for after in (False, True)
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{'after' if step.after else 'before'} {step.name}")
def test_a_crash_between_any_two_steps_loses_and_doubles_nothing(queues, step, monkeypatch):
    queues.send(usage(1), usage(2, env="prod"))
    work = getattr(step.module, step.name)

    def dying(*args, **kwargs):
        if step.after:
            work(*args, **kwargs)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(step.module, step.name, dying)
        with pytest.raises(Crash):
            queues.usage_consumer().turn()
    queues.send(usage(3))
    queues.consume()
    assert (totals(TENANT, DAY, DAY).requests, totals(TENANT, DAY, DAY).charge) == (3, 3 * COST)
    assert not DirtyDay.objects.exists()
    assert all(queue.depth()[:3] == (0, 0, 0) for queue in queues.usage.values())


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_around_the_acknowledgement_loses_and_doubles_nothing(queues, after, monkeypatch):
    queues.send(usage(1), usage(2))
    queue = queues.usage["dev"]
    consumer = UsageConsumer(queues.usage)
    acknowledge = queue.acknowledge

    def dying(messages):
        if after:
            acknowledge(messages)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(queue, "acknowledge", dying)
        with pytest.raises(Crash):
            consumer.turn()
    assert queue.depth().waiting == (0 if after else 2)
    queues.consume()
    assert (totals(TENANT, DAY, DAY).requests, totals(TENANT, DAY, DAY).charge) == (2, 2 * COST)


POISON = {
    "no JSON": (b"\xff\xfe{", "cannot be understood"),
    "not an event": (b'{"hello": 1}', "missing required field"),
    "a field of another type": (encode(usage()).replace(b'"http_status":200', b'"http_status":"ok"'), "http_status"),
    "an unknown status": (encode(usage(status=Status.ERROR)).replace(b'"error"', b'"fine"'), "fine"),
    "no UUID": (encode(usage(event_id="e-1")), "is not a UUID"),
    "seconds for milliseconds": (encode(usage(ts=1_795_176_000)), "Unix milliseconds"),
    "a far future": (encode(usage(ts=2**47)), "Unix milliseconds"),
    "another environment": (encode(usage(env="prod")), "came through the queue of 'dev'"),
    "no tenant": (encode(usage(tenant="")), "names no tenant"),
    "a negative count": (encode(usage(units={"input": -1})), "the count of input is -1"),
    "a count beyond counting": (encode(usage(units={"input": 2**63})), "the count of input"),
    "a negative time": (encode(usage(duration_ms=-5)), "duration_ms is -5"),
    "a large rev": (encode(usage(rev=2**32)), "rev is"),
    "an http status beyond all": (encode(usage(http_status=70_000)), "http_status is 70000"),
    "money that is no number": (encode(usage(cost="NaN")), "not an amount of USD"),
    "money finer than a pico-USD": (encode(usage(charge="0.0000000000001")), "finer than a pico-USD"),
    "more money than there is": (encode(usage(cost="1" + 26 * "0")), "more USD than there are"),
}


@pytest.mark.parametrize("case", POISON)
def test_a_message_that_cannot_be_understood_is_put_aside_with_its_reason(queues, case):
    body, reason = POISON[case]
    queue = queues.usage["dev"]
    queue.send([encode(usage(1)), body, encode(usage(2))])
    queues.consume()
    assert totals(TENANT, DAY, DAY).requests == 2
    assert queue.depth()[:3] == (0, 0, 1)
    ((dead, why),) = queue._db.execute("SELECT body, reason FROM dead_messages").fetchall()
    assert dead == body
    assert reason in why


def test_a_denial_that_cannot_be_understood_is_put_aside(queues):
    queues.denials["dev"].send([encode(denial(1)), encode(denial(2)).replace(b"budget_exhausted", b"bad_mood")])
    queues.consume()
    assert len(find_denials(TENANT, DAY, DAY)) == 1
    assert queues.denials["dev"].depth().dead == 1


def test_a_denial_of_nobody_is_kept(queues):
    queues.send(denial(tenant="", project="", key="", reason=Denied.KEY_UNKNOWN, http_status=401))
    queues.consume()
    assert rows_in("denial_events") == 1


numbers = st.integers(-(2**64), 2**65) | st.integers(0, 3)
texts = st.text(max_size=20)
fuzzed = st.fixed_dictionaries(
    {},
    optional={
        "event_id": texts,
        "rev": numbers,
        "ts": numbers | st.integers(946_684_800_000, 4_102_444_799_999),
        "env": st.sampled_from(["dev", "prod", ""]),
        "tenant": texts,
        "project": texts,
        "key": texts,
        "end_user": texts,
        "tags": st.dictionaries(texts, texts, max_size=3),
        "provider": texts,
        "model_asked": texts,
        "model_priced": texts,
        "units": st.dictionaries(texts, numbers, max_size=3),
        "price_version": numbers,
        "cost": st.none() | texts | st.decimals(allow_nan=False, allow_infinity=False).map(str),
        "charge": st.none() | st.decimals(-(10**27), 10**27, places=12).map(lambda value: f"{value:f}"),
        "kind": texts,
        "http_status": numbers,
        "duration_ms": numbers,
        "streamed": st.booleans(),
        "request_id": texts,
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(fuzzed, min_size=1, max_size=8))
def test_whatever_comes_is_stored_or_put_aside_and_blocks_nothing(queues, fields):
    queue = queues.usage["dev"]
    dead = queue.depth().dead
    bodies = []
    for number, each in enumerate(fields):
        event = msgspec.to_builtins(usage(number)) | each
        try:
            bodies.append(msgspec.json.encode(event))
        except (OverflowError, ValueError):  # integers beyond 64 bits are no JSON of ours
            continue
    queue.send([*bodies, encode(usage(1000))])
    while (batch := spend.ingest.claim_usage(queue, "dev")).messages:
        spend.ingest.store_usage(batch.events, since_ms=batch.since_ms)
        queue.acknowledge(batch.messages)
        dead += batch.buried
    assert queue.depth()[:3] == (0, 0, dead + batch.buried)
    assert request_by_id(TENANT, usage(1000).event_id) is not None


odd = {
    "event_id": st.sampled_from(["e-1", "", f"{usage(1).event_id}\n{usage(2).event_id}", usage(3).event_id.upper()]),
    "ts": st.sampled_from([0, 946_684_800_000, 4_102_444_800_000]),
    "env": st.sampled_from(["dev", "prod"]),
    "tenant": st.sampled_from(["", "t" * 64, "t" * 65]),
    "rev": st.sampled_from([-1, 0, 2**32 - 1, 2**32]),
    "calls": st.sampled_from([-1, 0, 2**32]),
    "http_status": st.sampled_from([-1, 65_535, 65_536]),
    "duration_ms": st.sampled_from([-1, 2**32]),
    "units": st.dictionaries(st.text(max_size=3), st.sampled_from([-1, 0, 2**53 - 1, 2**53]), max_size=2)
    | st.just({f"u{number}": 1 for number in range(201)}),
    "cost": st.none()
    | st.sampled_from(["1", "1.5", "NaN", "", "1" + 26 * "0" + ".000000000000", "1.0\n2.000000000000"]),
    "charge": st.none() | st.sampled_from(["-1.000000000000", "9" * 26 + ".999999999999", "1.000000000000\n"]),
}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.fixed_dictionaries({}, optional=odd), min_size=1, max_size=4))
def test_many_events_are_found_fine_at_once_only_when_each_of_them_is(fields):
    events = [usage(number, **each) for number, each in enumerate(fields)]
    if spend.ingest._all_fine(events, "dev"):
        for event in events:
            spend.ingest._check_usage(event, "dev")


def test_usual_events_are_found_fine_at_once():
    assert spend.ingest._all_fine([usage(1), unpriced(2), usage(3, cost="-1.000000000001", units={})], "dev")


def test_what_waits_beyond_one_claim_is_claimed_while_a_batch_is_stored(queues, monkeypatch):
    monkeypatch.setattr(spend.consumer, "AT_ONCE", 1000)  # a claim's
    for env in ("dev", "prod"):
        queues.send(*(usage(number, env=env) for number in range(2300)))
    consumer = UsageConsumer(dict(queues.usage))
    for queue in queues.usage.values():
        queue.limits = queue.limits._replace(visibility_seconds=60)
    assert consumer.turn()
    assert consumer._ahead.keys() == {"dev", "prod"}
    consumer.stop()
    consumer.run()  # hands back what it claimed and will not store
    assert {queue.depth()[:3] for queue in queues.usage.values()} == {(1300, 0, 0)}
    queues.consume()
    assert totals(TENANT, DAY, DAY).requests == 2300  # the same ids in both


def test_the_oldest_message_says_since_when_its_days_wait(queues):
    queues.send(usage(1))
    sent = queues.usage["dev"].depth().oldest_ms
    batch = spend.ingest.claim_usage(queues.usage["dev"], "dev")
    spend.ingest.store_usage(batch.events, since_ms=batch.since_ms)
    assert list(DirtyDay.objects.values_list("tenant_id", "day", "since_ms")) == [(TENANT, DAY, sent)]


def test_a_higher_rev_replaces_and_a_lower_one_does_not(queues):
    first = usage(1)
    rated: UsageEvent = msgspec.structs.replace(first, rev=2, model_priced="gpt-4o", charge="1.5", cost="1.25")
    queues.send(first)
    queues.consume()
    queues.send(rated)
    queues.consume()
    queues.send(first)
    queues.consume()
    row = request_by_id(TENANT, first.event_id)
    assert (row.rev, row.model_priced, row.charge) == (2, "gpt-4o", Decimal("1.5"))
    assert totals(TENANT, DAY, DAY)[:6] == (1, 21, 64, 0, Decimal("1.25"), Decimal("1.5"))


def test_events_that_come_twice_in_one_insert_count_once_with_their_highest_rev(queues):
    first = [usage(number) for number in range(300)]
    rated = [msgspec.structs.replace(event, rev=2, charge="1.5", cost="1.25") for event in first[:100]]
    refused = denial(1)
    queues.send(*rated[:50], *first, *first, *rated, refused, refused)
    queues.consume()
    found = totals(TENANT, DAY, DAY)
    assert (found.requests, found.charge) == (300, 100 * Decimal("1.5") + 200 * COST)
    rows = find_requests(TENANT, DAY, DAY, most=1000)
    assert {str(row.event_id): row.charge for row in rows} == {
        event.event_id: Decimal(event.charge) for event in (*rated, *first[100:])
    }
    assert len(rows) == 300
    assert request_by_id(TENANT, first[0].event_id).charge == Decimal("1.5")
    assert (rows_in("usage_events"), len(find_denials(TENANT, DAY, DAY))) == (300, 1)
