"""Slices: sums by time and dimensions, equal whichever table answers, in any zone, over changes of the clocks."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from spend.queries.slices import OTHER, Each, Slice, cells
from tests.spend.conftest import count, tenant
from tests.spend.events import TENANT, unpriced, usage
from wire.events import Status

pytestmark = pytest.mark.usefixtures("queues", "clickhouse")

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Pacific/Chatham"]
# clocks change in New York on 8 March and 1 November 2026, on the Chatham Islands on 5 April and 27 September
RANGES = [
    (date(2026, 3, 6), date(2026, 3, 10)),
    (date(2026, 4, 3), date(2026, 4, 7)),
    (date(2026, 10, 30), date(2026, 11, 3)),
]
FIRST, LAST = RANGES[0]
MODELS = ["gpt-4o-mini", "gpt-5", "claude-sonnet-4-5"]


def _events(first: date, last: date):
    dice = random.Random(f"{first}")
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=1)
    minutes = ((last - first).days + 3) * 1440
    for number in range(150):
        model, pico = dice.choice(MODELS), dice.randrange(10**15)
        fields = {
            "model_asked": model,
            "model_priced": model,
            "charge": f"{pico // 10**12}.{pico % 10**12:012}",
            "env": dice.choice(["dev", "prod"]),
            "key": dice.choice(["k_web", "k_app"]),
            "tags": {"team": dice.choice(["search", "ads"])} if dice.random() < 0.8 else {},
            "end_user": dice.choice(["", "ann", "bob"]),
            "status": dice.choice([Status.OK, Status.ERROR]),
        }
        make = unpriced if dice.random() < 0.1 else usage
        if make is unpriced:
            fields = {
                name: value for name, value in fields.items() if name not in ("model_asked", "model_priced", "charge")
            }
        yield make(
            number, begin + timedelta(minutes=dice.randrange(minutes), milliseconds=dice.randrange(60_000)), **fields
        )


def _charge(event) -> Decimal:
    return Decimal(event.charge or 0)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("first", "last"), RANGES)
def test_days_and_hours_come_to_the_range_in_every_zone(zone, first, last):
    tenant(TENANT, "Asia/Kolkata")
    events = list(_events(first, last))
    count(events)
    of = Slice(first, last, zone=zone)
    inside = [each for each in events if first <= datetime.fromtimestamp(each.ts / 1000, ZoneInfo(zone)).date() <= last]
    expected = sum(map(_charge, inside), Decimal(0))
    whole = cells(TENANT, of)[0]
    assert (whole.charge, whole.requests) == (expected, len(inside))
    days = cells(TENANT, of, each=Each.DAY)
    for cell in days:
        own = [each for each in inside if datetime.fromtimestamp(each.ts / 1000, ZoneInfo(zone)).date() == cell.begin]
        assert (cell.charge, cell.requests) == (sum(map(_charge, own), Decimal(0)), len(own))
    assert sum(cell.charge for cell in days) == expected
    assert sum(cell.charge for cell in cells(TENANT, of, each=Each.HOUR)) == expected
    alone = [cells(TENANT, of.on(day, day))[0].charge for day in {cell.begin for cell in days}]
    assert sum(alone) == expected


def test_the_rollup_and_the_events_agree_in_every_measure():
    tenant(TENANT, "America/New_York")
    count(list(_events(FIRST, LAST)))
    of = Slice(FIRST, LAST)
    by_days = cells(TENANT, of, by=["model", "key", "env", "status"], each=Each.DAY)
    by_events = cells(TENANT, of, by=["model", "key", "env", "status", "kind"], each=Each.DAY)
    assert [cell._replace(groups=cell.groups[:4]) for cell in by_events] == by_days
    assert len(by_days) > 20


def test_it_is_narrowed_by_values_without_values_and_tags():
    tenant(TENANT)
    events = list(_events(FIRST, LAST))
    count(events)
    inside = [each for each in events if FIRST <= datetime.fromtimestamp(each.ts / 1000, UTC).date() <= LAST]
    of = Slice(FIRST, LAST, only={"tag:team": ["search"], "env": ["prod"]}, without={"end_user": ["ann", ""]})
    wanted = [
        each for each in inside if each.tags.get("team") == "search" and each.env == "prod" and each.end_user == "bob"
    ]
    assert wanted
    assert cells(TENANT, of)[0].charge == sum(map(_charge, wanted))
    by_tag = {cell.groups[0]: cell.requests for cell in cells(TENANT, Slice(FIRST, LAST), by=["tag:team"])}
    assert by_tag.keys() == {"search", "ads", ""}
    assert sum(by_tag.values()) == len(inside)


def test_what_is_not_kept_is_one_group():
    tenant(TENANT)
    count(list(_events(FIRST, LAST)))
    of = Slice(FIRST, LAST)
    found = cells(TENANT, of, by=["model"], kept=["gpt-5"])
    assert [cell.groups for cell in found] == [(OTHER,), ("gpt-5",)]
    assert sum(cell.charge for cell in found) == cells(TENANT, of)[0].charge


def test_a_ranking_has_the_dearest_first():
    tenant(TENANT)
    count(list(_events(FIRST, LAST)))
    ranked = cells(TENANT, Slice(FIRST, LAST), by=["model"], order_by="charge", most=2)
    every = sorted(cells(TENANT, Slice(FIRST, LAST), by=["model"]), key=lambda cell: -cell.charge)
    assert ranked == every[:2]


def test_keys_that_may_not_be_seen_and_other_tenants_are_left_out():
    tenant(TENANT)
    tenant("t_stranger1")
    count([usage(1, datetime(2026, 3, 7, tzinfo=UTC)), usage(2, datetime(2026, 3, 7, tzinfo=UTC), key="k_app")])
    for by in ([], ["end_user"]):
        assert cells(TENANT, Slice(FIRST, LAST, keys=["k_app"]), by=by)[0].requests == 1
        assert cells(TENANT, Slice(FIRST, LAST, keys=[]), by=by) == []
        assert cells("t_stranger1", Slice(FIRST, LAST), by=by) == []


@pytest.mark.parametrize("name", ["", "tenant_id", "tag:", "tag:a\x00b", "model; DROP TABLE usage_events"])
def test_what_is_no_dimension_is_refused(name):
    tenant(TENANT)
    with pytest.raises(ValueError, match="choose one of"):
        cells(TENANT, Slice(FIRST, LAST), by=[name])


def test_too_many_hours_are_refused_with_what_to_do():
    tenant(TENANT)
    with pytest.raises(ValueError, match="look at them by day"):
        cells(TENANT, Slice(FIRST, FIRST + timedelta(days=60)), each=Each.HOUR)
