"""Imports in any order, overlapping anyhow, with calls that come before and after, killed between any two steps: the
sums are those of a naive reckoning, in the rollup and in the events.
"""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spend.importing import run, settling
from spend.importing.actions import confirm_import, withdraw_import
from spend.importing.run import work_off
from spend.ingest import store_usage
from spend.models import ImportingTenant, UsageImport
from tenants.models import Tenant
from tests.pricing.catalogues import catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.spend.events import usage
from tests.spend.imports import (
    BY,
    DAY,
    NOV_1,
    alike,
    bring,
    check,
    counted,
    first_project,
    fresh,
    lines,
    page,
    settle,
    total,
    withdraw,
)
from tests.tenants.making import make_tenant

pytestmark = pytest.mark.usefixtures("_prices")

PICO_IN, PICO_OUT = 150_000, 600_000
_numbers = itertools.count()


@pytest.fixture
def _prices(queues, clickhouse):
    model = listed("gpt-4o-mini", input=PICO_IN, output=PICO_OUT)
    sync_and_approve(catalogue(provider("openai", model)))


# a call that has an id: its number, 0 to 7; a bucket: its day and how far it had grown
_calls = st.lists(st.integers(0, 7), max_size=8)
_buckets = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=4)
_equal = st.integers(0, 3)
_step = st.one_of(
    st.tuples(st.just("calls"), _calls, _equal),
    st.tuples(st.just("buckets"), _buckets, st.just(0)),
    st.tuples(st.just("gateway call"), st.integers(0, 7), st.just(0)),
    st.tuples(st.just("gateway bucket"), st.tuples(st.integers(0, 2), st.integers(1, 9)), st.just(0)),
    st.tuples(st.just("settle"), st.just(None), st.just(0)),
)


def _call_row(number: int) -> dict:
    moment = datetime(2026, 11, 5, 9, tzinfo=UTC) + timedelta(minutes=number)
    return {
        "ts": moment.isoformat(),
        "units": {"input": 10 + number},
        "id": f"c{number}",
        "upstream_request_id": f"req_{number}",
    }


class Naive:
    """What should be counted: the union of the files, less what passed the gateway."""

    def __init__(self) -> None:
        self.calls: set[int] = set()
        self.equal = 0
        self.buckets: dict[int, int] = {}
        self.passed: set[int] = set()
        self.traffic: dict[int, list[int]] = {}

    def sums(self) -> tuple[int, int]:
        """Requests and input tokens."""
        requests = len(self.passed) + len(self.calls - self.passed) + self.equal
        tokens = sum(10 + number for number in self.passed | self.calls) + 7 * self.equal
        for day in range(3):
            theirs = (self.buckets.get(day, 0), 100 * self.buckets.get(day, 0))
            ours = (len(self.traffic.get(day, [])), sum(self.traffic.get(day, [])))
            requests += max(theirs[0], ours[0])
            tokens += max(theirs[1], ours[1])
        return requests, tokens


def _do(tenant: Tenant, naive: Naive, step: tuple) -> None:
    what, given_, more = step
    if what == "calls":
        naive.calls |= set(given_)
        naive.equal = max(naive.equal, more)
        rows = [_call_row(number) for number in given_]
        rows += [{"ts": "2026-11-06T12:00:00Z", "units": {"input": 7}}] * more
        if rows:
            bring(tenant, lines(*rows))
    elif what == "buckets":
        pages = []
        for day, size in given_:
            naive.buckets[day] = max(naive.buckets.get(day, 0), size)
            result = {"num_model_requests": size, "input_tokens": 100 * size}
            pages.append(page(result, start=NOV_1 + day * DAY))
        for body in pages:
            bring(tenant, body, "openai_usage")
    elif what == "gateway call":
        naive.passed.add(given_)
        row = _call_row(given_)
        store_usage(
            [
                _event(
                    tenant,
                    datetime.fromisoformat(row["ts"]),
                    10 + given_,
                    number=given_,
                    upstream_request_id=f"req_{given_}",
                )
            ]
        )
    elif what == "gateway bucket":
        day, tens = given_
        moment = datetime.fromtimestamp(NOV_1 + day * DAY, UTC) + timedelta(hours=tens, seconds=next(_numbers) % 3000)
        naive.traffic.setdefault(day, []).append(10 * tens)
        store_usage([_event(tenant, moment, 10 * tens, number=next(_numbers))])
    else:
        settle()


def _event(tenant: Tenant, moment: datetime, tokens: int, **fields):
    number = fields.pop("number")
    cost = f"0.{tokens * PICO_IN:012}"
    known = {
        "tenant": tenant.id,
        "project": first_project(tenant),
        "units": {"input": tokens},
        "cost": cost,
        "charge": cost,
    }
    return usage(number, moment, **(known | fields))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(_step, min_size=1, max_size=7))
def test_any_order_and_overlap_gives_the_same_sums(steps):
    tenant, naive = make_tenant(f"Acme {next(_numbers)}", time_zone="Pacific/Chatham"), Naive()
    for step in steps:
        _do(tenant, naive, step)
    settle()
    settle()
    found = alike(tenant)
    requests, tokens = naive.sums()
    assert sum(cell.requests for cell in found) == requests
    assert sum(cell.input_tokens for cell in found) == tokens
    assert sum((cell.cost for cell in found), Decimal(0)).scaleb(12) == tokens * PICO_IN


class Killed(BaseException):
    """As if the process had ended: nothing after it is done."""


STEPS = [
    (run, "insert_facts"),
    (settling, "insert_usage"),
    (settling, "mark_moments"),
    (run, "_settle"),
    (run, "_hold"),
]


@pytest.mark.parametrize("withdrawn", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("module", "name"), STEPS)
def test_killed_between_any_two_steps_it_goes_on_and_comes_out_the_same(monkeypatch, module, name, after, withdrawn):
    monkeypatch.setattr(run, "CHUNK", 3)
    tenant = make_tenant("Acme")
    store_usage([_event(tenant, datetime(2026, 11, 1, 5, tzinfo=UTC), 50, number=1)])
    results = [{"num_model_requests": 2, "input_tokens": 40, "api_key_id": f"key_{number}"} for number in range(5)]
    body = page(*results) + b"\n" + json.dumps({"start_time": NOV_1, "end_time": NOV_1, "results": [{}]}).encode()
    job = check(tenant, body, "openai_usage")
    said = (job.counts, job.sums, job.errors)
    confirm_import(job=job, by=BY)
    if withdrawn:
        work_off(job.pk, tenant.id)
        counted()
        withdraw_import(job=job, by=BY)
    kills = 0
    while fresh(job).status in run.OPEN:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, _deadly(getattr(module, name), after=after, spare=kills))
            try:
                work_off(job.pk, tenant.id)
            except Killed:
                kills += 1
                past = timezone.now() - timedelta(seconds=1)
                UsageImport._base_manager.filter(pk=job.pk).update(claimed_until=past)
                ImportingTenant.objects.update(claimed_until=past)
        assert kills < 40
    counted()
    assert kills
    done = fresh(job)
    if withdrawn:
        assert (done.status, total(tenant).requests, total(tenant).input_tokens) == ("withdrawn", 1, 50)
    else:
        assert (done.counts, done.sums, done.errors) == said
        assert (total(tenant).requests, total(tenant).input_tokens) == (10, 200)
    assert settle() == 0
    alike(tenant)


def _deadly(real, *, after: bool, spare: int):
    """A step that works so many times, and is then the last that is done, or not even begun."""
    left = iter(range(spare))

    def step(*args, **kwargs):
        if next(left, None) is not None:
            return real(*args, **kwargs)
        if after:
            real(*args, **kwargs)
        raise Killed

    return step


def test_another_worker_leaves_a_job_that_is_in_hand_alone():
    tenant = make_tenant("Acme")
    job = check(tenant, page({"num_model_requests": 1, "input_tokens": 1}), "openai_usage")
    confirm_import(job=job, by=BY)
    UsageImport._base_manager.filter(pk=job.pk).update(
        claim="theirs", claimed_until=timezone.now() + timedelta(minutes=1)
    )
    assert not work_off(job.pk, tenant.id)
    assert total(tenant) is None
    UsageImport._base_manager.filter(pk=job.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert work_off(job.pk, tenant.id)
    counted()
    assert total(tenant).requests == 1
    assert withdraw(fresh(job)).status == "withdrawn"
