"""Verification finds whatever the rollup says otherwise than the events, and a repair or a rebuild puts it right."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from spend.clickhouse.client import ask, command
from spend.clickhouse.migrate import migrate
from spend.ingest import insert_usage, store_usage
from spend.models import CountedZone, DirtyDay
from spend.queries.slices import Slice, cells
from spend.queries.totals import totals
from spend.rebuilding import rebuild
from spend.retention import usage_kept_from
from spend.rollup import mark, recount
from spend.verifying import verify
from spend.zones import calendar, ms_of
from tests.spend.conftest import count, tenant
from tests.spend.events import NOON, TENANT, usage

pytestmark = pytest.mark.usefixtures("db", "clickhouse")
DAY = NOON.date()


@pytest.fixture(autouse=True)
def empty(clickhouse):
    for table in ("usage_events", "usage_daily"):
        command(f"TRUNCATE TABLE {table}", purpose="a test")


def verified(*options: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    from io import StringIO

    out = StringIO()
    try:
        call_command("verify_spend", *options, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_what_is_right_is_found_right():
    tenant(TENANT, "Asia/Kolkata")
    count([usage(number, NOON + timedelta(hours=7 * number)) for number in range(40)])
    count([usage(99, tenant="t_other0001", kind="adjustment", charge="-1.000000000000")])
    code, said = verified()
    assert (code, said) == (0, "14 days verified, 0 differences.\n")


def spoil(measure: str, value: str) -> None:
    """Let the rollup say something else, and weigh more than anything that will be counted."""
    columns = [row[0] for row in ask("DESCRIBE usage_daily", across_tenants=True, purpose="a test")]
    shown = ", ".join({measure: value, "ver": "ver + 1000"}.get(name, name) for name in columns)
    command(
        f"INSERT INTO usage_daily ({', '.join(columns)}) SELECT {shown} FROM usage_daily FINAL WHERE day = '{DAY}'",
        purpose="a test",
    )


@pytest.mark.parametrize(
    ("measure", "value"), [("requests", "7"), ("charge", "charge + toDecimal128('0.000000000001', 12)")]
)
def test_each_measure_that_differs_is_told_with_both_figures_and_repaired(measure, value):
    tenant(TENANT, "America/New_York")
    count([usage(1), usage(2), usage(3, NOON + timedelta(days=40))])
    spoil(measure, value)
    code, said = verified()
    assert code == 1
    assert f"{TENANT} {DAY} p_checkout01 · k_web · openai · gpt-4o-mini · – · dev · ok: {measure} is" in said
    assert said.endswith("42 days verified, 1 difference.\n") or "1 difference" in said
    code, said = verified("--repair", "--json")
    found = json.loads(said)
    assert (code, found["marked"], len(found["differences"])) == (1, 1, 1)
    assert found["differences"][0]["measure"] == measure
    while recount():
        pass
    assert verified()[0] == 0
    assert totals(TENANT, DAY, DAY).requests == 2


def test_events_that_nobody_counted_and_rows_without_events_are_found():
    tenant(TENANT)
    count([usage(1)])
    insert_usage([usage(2, NOON + timedelta(days=1))], purpose="a test")
    command(
        "ALTER TABLE usage_events DELETE WHERE toDate(ts) = '2026-11-20' SETTINGS mutations_sync = 1", purpose="a test"
    )
    found = [each for part in verify(TENANT) for each in part.differences if each.measure == "requests"]
    assert [(each.day, each.rollup, each.events) for each in found] == [(DAY, 1, 0), (DAY + timedelta(days=1), 0, 1)]
    assert [done.month for done in rebuild()] == [date(2026, 11, 1)]
    assert verified()[0] == 0
    assert totals(TENANT, DAY, DAY).requests == 0


def test_days_that_are_marked_are_left_out_and_said():
    store_usage([usage(1)])
    assert verified() == (
        0,
        "0 days verified, 0 differences. 1 day will be counted anew in any case and was left out.\n",
    )


def test_only_the_days_asked_for_are_verified():
    count([usage(number, NOON + timedelta(days=number)) for number in range(5)])
    spoil("requests", "7")
    after = (DAY + timedelta(days=1)).isoformat()
    assert verified("--from", after)[0] == 0
    assert verified("--to", DAY.isoformat())[0] == 1
    with pytest.raises(CommandError, match="--from is after --to"):
        call_command("verify_spend", "--from", after, "--to", DAY.isoformat())


def test_a_rebuild_goes_month_by_month_and_needs_no_marks(capsys):
    tenant(TENANT, "Pacific/Chatham")
    moments = [datetime(2026, month, 28, 23, tzinfo=UTC) for month in range(1, 12)]
    insert_usage([usage(number, at) for number, at in enumerate(moments)], purpose="a test")
    insert_usage([usage(50, NOON, tenant="t_other0001")], purpose="a test")
    call_command("rebuild_spend", "--month", "2026-11", "--json")
    said = capsys.readouterr()
    assert json.loads(said.out) == {"months": ["2026-11"]}
    assert said.err.startswith("2026-11: 2 tenants, ")
    assert totals(TENANT, date(2026, 1, 1), DAY + timedelta(days=30)).requests == 1
    call_command("rebuild_spend", "--tenant", TENANT)
    assert totals(TENANT, date(2026, 1, 1), DAY + timedelta(days=30)).requests == 11
    assert verified() == (0, f"{(moments[-1] - moments[0]).days + 1 + 1} days verified, 0 differences.\n")


def test_a_rebuild_that_is_broken_off_and_run_again_comes_out_the_same():
    count([usage(number, NOON - timedelta(days=31 * number)) for number in range(4)])
    next(rebuild())
    assert len(list(rebuild())) == 4
    assert verified()[0] == 0


def test_days_older_than_events_are_kept_stay_as_they_were_counted(settings):
    """The events of an old day are gone; a mark, a rebuild and a repair leave its sums alone."""
    now = datetime.now(UTC)
    old, new = now - timedelta(days=100), now - timedelta(days=10)
    tenant(TENANT)
    count([usage(1, old), usage(2, new)])
    settings.USAGE_RETENTION_DAYS = 90
    try:
        migrate()
        command("OPTIMIZE TABLE usage_events FINAL", purpose="a test")
        assert ask("SELECT count() FROM usage_events", across_tenants=True, purpose="a test") == [(1,)]
        mark([usage(1, old), usage(2, new)], since_ms=ms_of(now))
        assert recount() == 2
        assert not DirtyDay.objects.exists()
        list(rebuild())
        list(rebuild(month=old.date().replace(day=1)))
        assert totals(TENANT, old.date(), now.date()).requests == 2
        assert totals(TENANT, old.date(), old.date()).charge == Decimal("0.00004155")
        code, said = verified()
        assert code == 0
        assert "left out: older than single calls are kept" in said
    finally:
        settings.USAGE_RETENTION_DAYS = 0
        migrate()


def test_a_day_that_is_partly_past_its_keeping_is_not_counted(settings):
    settings.USAGE_RETENTION_DAYS = 90
    edge = usage_kept_from()
    day = calendar("UTC").day_of(edge)
    insert_usage([usage(1, ts=edge + 1)], purpose="a test")
    mark([usage(1, ts=edge + 1)], since_ms=1)
    recount()
    assert totals(TENANT, day, day).requests == 0
    assert not DirtyDay.objects.exists()


def test_an_event_that_is_older_than_events_are_kept_is_put_aside(queues, settings):
    settings.USAGE_RETENTION_DAYS = 90
    now = datetime.now(UTC)
    queues.send(usage(1, now), usage(2, now - timedelta(days=91)))
    queues.consume()
    assert queues.usage["dev"].depth()[:3] == (0, 0, 1)
    assert totals(TENANT, now.date(), now.date()).requests == 1


def test_an_event_of_a_day_that_is_counted_no_more_is_put_aside(queues, settings):
    """Its moment is kept, and the beginning of its day is not: it would be stored, and in no sum."""
    settings.USAGE_RETENTION_DAYS = 90
    queues.send(usage(1, ts=usage_kept_from() + 60_000))
    queues.consume()
    assert queues.usage["dev"].depth()[:3] == (0, 0, 1)


def test_a_mark_is_of_the_zone_that_its_day_is_in():
    """The zones are read again from time to time, also while marks are being made."""

    class Alternating:
        zones = iter(["Pacific/Kiritimati", "Etc/GMT+12"] * 4)

        def of(self, tenant_id: str):
            return calendar(next(self.zones))

    event = usage(1)
    mark([event], since_ms=1, calendars=Alternating())
    found = DirtyDay.objects.get()
    assert found.day == calendar(found.zone).day_of(event.ts)
    assert CountedZone.objects.get().zone == found.zone


def test_what_only_calls_can_answer_is_refused_for_days_of_which_they_may_be_gone(settings):
    settings.USAGE_RETENTION_DAYS = 90
    today = datetime.now(UTC).date()
    old = Slice(today - timedelta(days=120), today)
    assert cells(TENANT, old, by=["model"]) == []
    with pytest.raises(ValueError, match="kept for 90 days"):
        cells(TENANT, old, by=["end_user"])
    assert cells(TENANT, old.on(today - timedelta(days=60), today), by=["end_user"]) == []
