"""Exports: what is in the files is what the pages say, to the last decimal; and jobs that survive whatever happens."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet
import pytest
import time_machine
from django.utils import timezone

from spend.exports.actions import IncompleteError, cancel_export, delete_export, expire_exports
from spend.exports.files import file_of
from spend.exports.formats.comma import guarded, unguarded
from spend.exports.run import forget_files, work_off, work_off_all
from spend.exports.wanted import Kind, wanted_of
from spend.ingest import store_denials
from spend.models import Export
from spend.queries.slices import Each, Slice, cells
from tenants.errors import InvalidSettingError, StatusError
from tenants.scope import across_tenants, tenant_scope
from tests.spend.conftest import count, tenant
from tests.spend.events import TENANT, denial, unpriced, usage
from tests.spend.exported import BY, again, begun, made, path_of, rows_of, sheet_of, summed, wanted
from tests.spend.test_slices import RANGES, ZONES, _events
from wire.events import Denied
from wire.queues.base import USAGE

FIRST, LAST = date(2026, 3, 6), date(2026, 3, 10)
NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)
FORMATS = ["csv", "xlsx", "parquet"]


@pytest.fixture(autouse=True)
def folder(queues, clickhouse, settings, tmp_path) -> Path:
    settings.EXPORTS = tmp_path / "exports"
    return settings.EXPORTS


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("first", "last"), RANGES)
def test_every_file_comes_to_the_figure_of_the_page_in_every_zone(zone, first, last):
    tenant(TENANT, zone)
    events = [each for each in _events(first, last) if each.charge]
    count(events)
    figure = cells(TENANT, Slice(first, last))[0]
    inside = [each for each in events if first <= datetime.fromtimestamp(each.ts / 1000, ZoneInfo(zone)).date() <= last]
    assert figure.charge == sum(Decimal(each.charge) for each in inside)
    for written in FORMATS:
        for kind, more in (("spend", {"by": ("model", "key")}), ("usage", {})):
            job = made(wanted(kind, first, last, **more), written)
            assert summed(job, "charge_usd") == figure.charge, (written, kind)
            assert summed(job, "cost_usd") == figure.cost
            assert job.rows == len(rows_of(job))
            assert job.manifest["sums_usd"]["charge_usd"] == f"{figure.charge:.12f}"
            assert job.manifest["time_zone"] == zone
    hourly = made(wanted("spend", first, last, each=Each.HOUR, by=("tag:team", "end_user")))
    assert summed(hourly, "charge_usd") == figure.charge
    whole = made(wanted("spend", first, last, each=Each.WHOLE))
    assert [row["charge_usd"] for row in rows_of(whole)] == [f"{figure.charge:.12f}"]


def test_a_sum_of_many_digits_holds_in_every_format():
    tenant(TENANT)
    amounts = ["98765432109876.123456789012", "0.000000000001", "12345678901234.999999999999"]
    count([usage(number, NOON, charge=amount, cost=amount) for number, amount in enumerate(amounts)])
    expected = sum(map(Decimal, amounts))
    for written in FORMATS:
        for kind in ("spend", "usage"):
            job = made(wanted(kind, FIRST, LAST), written)
            assert summed(job, "charge_usd") == expected, written


def test_it_is_narrowed_as_the_page_and_says_so():
    tenant(TENANT)
    count([usage(1, NOON), usage(2, NOON, env="prod"), usage(3, NOON, env="prod", key="k_app")])
    of = wanted("spend", FIRST, LAST, only={"env": ("prod",)}, without={"key": ("k_app",)}, by=("env",))
    job = made(of)
    assert [row["requests"] for row in rows_of(job)] == ["1"]
    assert job.manifest["filters"] == ["Environment: prod", "API key: not k_app"]
    called = made(wanted("usage", FIRST, LAST, only={"env": ("prod",)}, exactly={"called": "gpt-4o-mini"}))
    assert len(rows_of(called)) == 2


def test_denials_come_one_a_row_narrowed_by_their_reason():
    tenant(TENANT)
    store_denials([denial(1, NOON), denial(2, NOON, reason=Denied.RATE_LIMITED, http_status=429)])
    assert len(rows_of(made(wanted("denials", FIRST, LAST), "parquet"))) == 2
    [row] = rows_of(made(wanted("denials", FIRST, LAST, exactly={"reason": "rate_limited"})))
    assert (row["reason"], row["http_status"], row["day"]) == ("rate_limited", "429", "2026-03-07")


def test_many_events_come_in_pieces_each_once_and_in_order(monkeypatch):
    monkeypatch.setattr("spend.queries.streams.BLOCK", 7)
    tenant(TENANT)
    events = [usage(number, NOON + timedelta(minutes=number % 5, hours=number % 30)) for number in range(120)]
    events += [usage(200 + number, NOON) for number in range(25)]  # of one moment
    count(events)
    rows = rows_of(made(wanted("usage", FIRST, LAST)))
    assert sorted(row["event_id"] for row in rows) == sorted(each.event_id for each in events)
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)


def test_cells_that_a_spreadsheet_would_run_are_harmless_and_can_be_read_back():
    tenant(TENANT)
    evil = ["=1+1", "+1", "-1", "@sum", "'quoted", "\t=1", " =1", "＝1", "plain"]
    for text in evil:
        assert unguarded(guarded(text)) == text
        assert not guarded(text).lstrip(" ").startswith(("=", "+", "-", "@", "\t", "＝"))
    count([usage(number, NOON, end_user=text) for number, text in enumerate(evil)])
    of = wanted("usage", FIRST, LAST)
    csv_rows = rows_of(made(of))
    assert sorted(unguarded(row["end_user"]) for row in csv_rows) == sorted(evil)
    assert all(row["end_user"][0] in "'p" for row in csv_rows)
    assert sorted(row["end_user"] for row in rows_of(made(of, "xlsx"))) == sorted(evil)  # cells of text, no formulas


def test_money_keeps_its_type_and_unpriced_is_not_nothing():
    tenant(TENANT)
    count([usage(1, NOON), unpriced(2, NOON)])
    job = made(wanted("usage", FIRST, LAST), "parquet")
    field = pyarrow.parquet.read_schema(path_of(job)).field("charge_usd")
    assert str(field.type) == "decimal128(38, 12)"
    assert {row["charge_usd"] for row in rows_of(job)} == {Decimal("0.000041550000"), None}
    assert {row["charge_usd"] for row in rows_of(made(wanted("usage", FIRST, LAST)))} == {"0.000041550000", ""}


def test_a_file_says_what_it_is():
    place = tenant(TENANT, "Asia/Kolkata")
    type(place).objects.filter(pk=TENANT).update(currency="EUR")
    count([usage(1, NOON)])
    of = wanted("spend", FIRST, LAST, by=("model",))
    job = made(of)
    said = job.manifest
    data = path_of(job).read_bytes()
    assert (said["sha256"], said["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (said["first_day"], said["last_day"], said["begins_at"]) == (
        "2026-03-06",
        "2026-03-10",
        "2026-03-05T18:30:00Z",
    )
    assert said["tenant_currency"]["currency"] == "EUR"
    assert said["partial"] is False
    assert not data.startswith(b"#")
    parquet = pyarrow.parquet.ParquetFile(path_of(made(of, "parquet"))).metadata.metadata
    assert json.loads(parquet[b"spendops"])["rows"] == 1
    book = path_of(made(of, "xlsx"))
    assert any("2026-03-06" in "".join(row.values()) for row in sheet_of(book, 1))


def test_what_is_still_open_is_labelled_partial_and_refused_where_only_all_will_do(queues):
    tenant(TENANT)
    with time_machine.travel(datetime(2026, 3, 8, 12, tzinfo=UTC), tick=False):
        count([usage(1, NOON)])
        job = made(wanted("spend", FIRST, LAST))
        assert job.manifest["partial"] is True
        assert "The period ends at" in job.partial[0]
        with pytest.raises(IncompleteError, match=r"Nothing was exported, as the period is not complete\. The period"):
            begun(wanted("spend", FIRST, LAST), require_complete=True)
        assert made(wanted("spend", FIRST, date(2026, 3, 7)), require_complete=True).partial == []
        queues.send(usage(2, NOON))
    assert "wait to be counted" in made(wanted("spend", FIRST, LAST)).partial[0]
    queues.consume()
    assert made(wanted("spend", FIRST, LAST), require_complete=True).partial == []
    count([unpriced(3, NOON)])
    assert made(wanted("usage", FIRST, LAST)).partial == ["1 request of the period has no price."]
    assert made(wanted("usage", FIRST, LAST, only={"env": ("prod",)})).partial == []


def test_what_was_set_aside_makes_a_period_partial(queues, settings):
    tenant(TENANT)
    with time_machine.travel(NOON, tick=False):
        queues.usage["dev"].send([b"not an event"])
        queues.consume()
    job = made(wanted("spend", FIRST, LAST))
    assert "set aside" in " ".join(job.partial)
    assert settings.SPENDOPS.open_queue(USAGE, "dev").depth().dead == 1


def test_killed_in_the_middle_it_is_written_anew(monkeypatch, folder):
    tenant(TENANT)
    count([usage(number, NOON + timedelta(days=number % 3)) for number in range(9)])
    job = begun(wanted("usage", FIRST, LAST))
    kept = work_off_in_a_child(job.pk, dies_after=2)
    assert kept.rows < 9
    assert kept.status == Export.Status.RUNNING
    assert list(folder.glob("*/*.part"))
    assert not work_off(job.pk), "the lease still runs"
    with time_machine.travel(timezone.now() + timedelta(seconds=100)):
        assert work_off_all() == 1
    assert len(rows_of(again(job))) == 9
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert forget_files() == 1
    assert [path.name for path in folder.glob("*/*")] == [again(job).file]


def work_off_in_a_child(export_id: str, *, dies_after: int) -> Export:
    """Begin to write in this process, as somebody who is killed at a block: nothing is tidied up behind them."""

    class Killed(BaseException):
        pass

    told = [0]

    def tell(job: Export) -> None:
        told[0] += 1
        if told[0] == dies_after:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spend.exports.run._TELL_SECONDS", 0)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(Killed):
            work_off(export_id, told=tell)
    with across_tenants("a test looks"):
        return Export.objects.get(pk=export_id)


def test_two_workers_take_one_job_once_and_a_slow_one_gives_way(monkeypatch, folder):
    tenant(TENANT)
    count([usage(1, NOON), usage(2, NOON + timedelta(days=1))])
    job = begun(wanted("usage", FIRST, LAST))
    monkeypatch.setattr("spend.exports.run._TELL_SECONDS", 0)
    other: list[bool] = []

    def slow(_: Export) -> None:
        if not other:
            other.append(work_off(job.pk))
            with time_machine.travel(timezone.now() + timedelta(seconds=100)):
                other.append(work_off(job.pk))

    assert work_off(job.pk, told=slow)
    assert other == [False, True]
    assert len(rows_of(again(job))) == 2
    assert len(list(folder.glob("*/*"))) == 1


def test_a_file_that_is_not_what_the_page_says_is_written_anew_and_given_up_in_the_end(monkeypatch):
    tenant(TENANT)
    count([usage(1, NOON)])
    job = begun(wanted("usage", FIRST, LAST))
    late = iter([usage(2, NOON)])
    monkeypatch.setattr("spend.exports.run._TELL_SECONDS", 0)
    assert work_off(job.pk, told=lambda _: [count([event]) for event in late])
    assert len(rows_of(again(job))) == 2
    job = begun(wanted("usage", FIRST, LAST))
    number = iter(range(3, 1000))
    assert work_off(job.pk, told=lambda _: count([usage(next(number), NOON)]))
    assert again(job).status == Export.Status.FAILED
    assert "try again when less is going on" in again(job).error


def test_while_clickhouse_is_away_it_waits(monkeypatch):
    tenant(TENANT)
    count([usage(1, NOON)])
    job = begun(wanted("usage", FIRST, LAST))
    with pytest.MonkeyPatch.context() as patch:
        from spend.clickhouse.errors import UnavailableError

        def away(*_):
            raise UnavailableError("ClickHouse does not answer.")

        patch.setattr("spend.exports.run.completeness", away)
        assert work_off_all() == 0
    assert again(job).status == Export.Status.RUNNING
    assert "goes on by itself" in again(job).error
    with time_machine.travel(timezone.now() + timedelta(seconds=20)):
        assert work_off_all() == 1
    assert len(rows_of(again(job))) == 1


def test_what_nobody_thought_of_ends_the_export_and_tells_no_secrets(monkeypatch, folder):
    """Otherwise it would be begun anew for ever."""
    tenant(TENANT)
    job = begun(wanted("spend", FIRST, LAST))

    def broken(*_):
        raise TypeError("password=hunter2")

    monkeypatch.setattr("spend.exports.run.content_of", broken)
    assert work_off(job.pk)
    job = again(job)
    assert (job.status, job.claimed_until) == (Export.Status.FAILED, None)
    assert "hunter2" not in job.error
    assert not list(folder.glob("*/*"))


def test_cancelled_while_it_is_written_it_leaves_nothing(monkeypatch, folder):
    tenant(TENANT)
    count([usage(1, NOON)])
    job = begun(wanted("usage", FIRST, LAST))
    monkeypatch.setattr("spend.exports.run._TELL_SECONDS", 0)
    assert work_off(job.pk, told=lambda each: cancel_export(export=each, by=BY))
    assert again(job).status == Export.Status.CANCELLED
    assert list(folder.glob("*/*")) == []
    with tenant_scope(TENANT), pytest.raises(StatusError, match=r"This export is cancelled: nothing was changed\."):
        cancel_export(export=job, by=BY)


def test_when_its_time_is_over_the_file_is_deleted(settings):
    tenant(TENANT)
    count([usage(1, NOON)])
    job = made(wanted("usage", FIRST, LAST))
    assert path_of(job).stat().st_mode & 0o077 == 0 or path_of(job).parent.stat().st_mode & 0o077 == 0
    path = path_of(job)
    with across_tenants("a test lets them expire"):
        assert expire_exports(timezone.now() + timedelta(days=settings.EXPORT_DAYS - 1)) == 0
        assert expire_exports(timezone.now() + timedelta(days=settings.EXPORT_DAYS + 1)) == 1
    assert not path.exists()
    assert again(job).status == Export.Status.EXPIRED
    assert file_of(again(job)) is None


@pytest.mark.django_db(transaction=True)
def test_deleted_it_is_gone_with_its_file():
    tenant(TENANT)
    count([usage(1, NOON)])
    job = made(wanted("usage", FIRST, LAST))
    path = path_of(job)
    with tenant_scope(TENANT):
        delete_export(export=job, by=BY)
        assert not Export.objects.exists()
    assert not path.exists()
    waiting = begun(wanted("usage", FIRST, LAST))
    with tenant_scope(TENANT), pytest.raises(StatusError, match="cancel it first"):
        delete_export(export=waiting, by=BY)


def test_the_canonical_query_is_read_back_as_it_was():
    of = wanted("spend", FIRST, LAST, zone="Asia/Kolkata", by=("tag:team", "key"), only={"env": ("dev", "prod")},
                without={"end_user": ("", "ann"), "model": ("gpt-5",)}, each=Each.HOUR)  # fmt: skip
    assert wanted_of("spend", of.query) == of
    listed = wanted("usage", FIRST, LAST, zone="UTC", exactly={"called": "gpt-5", "search": "req_1"})
    assert wanted_of("usage", listed.query) == listed
    assert listed.kind is Kind.USAGE


@pytest.mark.parametrize(
    ("kind", "query", "message"),
    [
        ("nothing", "", "There is no such kind of export"),
        ("spend", "last=2026-03-01", "Give the first day"),
        ("spend", "first=2026-03-02&last=2026-03-01", "swap them"),
        ("spend", "first=2024-03-02&last=2026-03-01", "choose fewer"),
        ("spend", "first=2026-03-01&last=2026-03-01&zone=Mars", "no such time zone"),
        ("spend", "first=2026-03-01&last=2026-03-01&by=nope", "choose one of"),
        ("spend", "first=2026-03-01&last=2026-03-01&tenant_id=t_other", "means nothing"),
        ("spend", "first=2026-03-01&last=2026-03-01&each=week", "Sums can be for each of"),
        ("denials", "first=2026-03-01&last=2026-03-01&model=gpt-5", "Denials can be narrowed"),
        ("usage", "first=2026-03-01&first=2026-03-02&last=2026-03-01", "Give first once"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_what_to_do(kind, query, message):
    with pytest.raises(InvalidSettingError, match=message):
        wanted_of(kind, query)


def test_another_tenants_usage_is_in_no_file():
    tenant(TENANT)
    tenant("t_stranger1")
    count([usage(1, NOON), usage(2, NOON, tenant="t_stranger1")])
    for kind in ("usage", "spend"):
        assert made(wanted(kind, FIRST, LAST), tenant="t_stranger1").rows == 1
    with tenant_scope("t_stranger1"):
        assert Export.objects.count() == 2
    with tenant_scope(TENANT):
        assert Export.objects.count() == 0
