"""C13: an audit trail that cannot be changed quietly: edits, gaps and cut tails are found, and one chain is kept."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from changes.actor import Actor
from changes.append_only import TABLE, install_statements, remove_statements
from changes.heads import note_head, read_heads
from changes.models import AuditEvent
from changes.record import record
from changes.tasks import note_audit_head
from changes.verify import verify_trail

BY = Actor("user", "u_1", role="tenant_admin", address="192.0.2.1", request_id="request-1")


@pytest.fixture(autouse=True)
def heads(settings, tmp_path: Path) -> Path:
    settings.AUDIT_HEADS = tmp_path / "elsewhere" / "heads.jsonl"
    return settings.AUDIT_HEADS


def happen(number: int = 1, **said) -> AuditEvent:
    """Record a number of events; returns the last."""
    said = {"before": {"limit": 1}, "after": {"limit": 2, "name": "Zürich ✓"}} | said
    with transaction.atomic():
        for _ in range(number):
            event = record("budget.raised", by=BY, tenant="t_1", target_kind="budget", target_id="b_1", **said)
    return event


@contextmanager
def by_hand() -> Iterator:
    """A cursor of somebody who owns the database and took the triggers away."""
    with connection.cursor() as cursor:
        for statement in remove_statements(connection.vendor):
            cursor.execute(statement)
        yield cursor
        for statement in install_statements(connection.vendor):
            cursor.execute(statement)


def verify() -> tuple[int, dict]:
    """The command's exit code and what it printed."""
    out = StringIO()
    try:
        call_command("verify_audit", "--json", stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


@pytest.mark.django_db
def test_c13_a_trail_that_nobody_touched_is_whole():
    assert verify() == (0, {"whole": True, "events": 0, "heads": 0, "bad": None, "why": ""})
    happen(3)
    note_head()
    happen(2)
    note_head()
    assert verify() == (0, {"whole": True, "events": 5, "heads": 2, "bad": None, "why": ""})
    first, second, *_ = AuditEvent.objects.order_by("id")
    assert (first.id, first.previous, second.id, second.previous) == (1, "", 2, first.digest)


@pytest.mark.django_db
def test_c13_what_engines_store_in_their_own_way_still_verifies():
    class Colour(StrEnum):
        RED = "red"

    happen(after={"tuple": (1, 2), "share": 0.1, "huge": 1e22, "tiny": 1e-7, "zero": 0.0, 5: Colour.RED, "z": None})
    happen(after={"whole": 10**30, "minus": -3, "nested": [{"b": 1, "a": [True, "\u2028"]}]}, before=None)
    assert verify_trail().whole


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        "actor_id = 'u_2'",
        "kind = 'budget.changed'",
        "tenant_id = 't_2'",
        "address = '192.0.2.2'",
        "request_id = ''",
        "after = '{\"limit\": 3}'",
        "before = NULL",
        "digest = previous",
    ],
)
def test_c13_an_edited_row_is_found_at_its_id(change):
    happen(7)
    with by_hand() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET {change} WHERE id = 4")
    code, verdict = verify()
    assert (code, verdict["whole"], verdict["bad"], verdict["events"]) == (1, False, 4, 3)


@pytest.mark.django_db
def test_c13_rows_taken_from_the_middle_or_the_beginning_are_found():
    happen(9)
    with by_hand() as cursor:
        cursor.execute(f"DELETE FROM {TABLE} WHERE id IN (5, 6)")
    code, verdict = verify()
    assert (code, verdict["bad"]) == (1, 5)
    assert verdict["why"] == "2 events are missing before event 7."
    with by_hand() as cursor:
        cursor.execute(f"DELETE FROM {TABLE} WHERE id = 1")
    assert verify()[1]["bad"] == 1


@pytest.mark.django_db
def test_c13_two_rows_that_changed_places_are_found():
    happen(5)
    with by_hand() as cursor:
        for old, new in ((2, 99), (3, 2), (99, 3)):
            cursor.execute(f"UPDATE {TABLE} SET id = %s WHERE id = %s", [new, old])
    assert verify()[1]["bad"] == 2


@pytest.mark.django_db
def test_c13_a_cut_tail_is_found_through_the_head():
    happen(6)
    note_head()
    with by_hand() as cursor:
        cursor.execute(f"DELETE FROM {TABLE} WHERE id > 4")
    code, verdict = verify()
    assert (code, verdict["bad"], verdict["events"]) == (1, 5, 4)
    assert "there were 6" in verdict["why"]
    happen(4)  # growing over the cut does not hide it
    note_head()
    code, verdict = verify()
    assert (code, verdict["bad"]) == (1, 6)
    assert "rewritten" in verdict["why"]


@pytest.mark.django_db
def test_c13_with_another_key_nothing_fits(settings):
    happen(3)
    settings.AUDIT_KEY = "another key, of somebody who rewrote the table"
    assert verify()[1]["bad"] == 1


@pytest.mark.django_db
def test_c13_many_rows_are_read_a_batch_at_a_time(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("changes.verify.BATCH", 4)
    happen(11)
    with django_assert_num_queries(3):
        assert verify_trail().events == 11


@pytest.mark.django_db
def test_c13_heads_are_private_and_survive_a_line_that_was_made_up(heads, settings):
    happen(2)
    note_head()
    note_audit_head()
    assert stat.S_IMODE(heads.stat().st_mode) == 0o600
    assert [head.seq for head in read_heads(heads)] == [2, 2]
    whole = heads.read_text()
    heads.write_text(whole.replace('"count":2', '"count":1', 1))
    code, verdict = verify()
    assert (code, verdict["bad"]) == (1, None)
    assert verdict["why"].startswith(f"Line 1 of {heads} was not written with this audit key")
    heads.write_text(whole + "{}\n")
    assert f"Line 3 of {heads} is not a head" in verify()[1]["why"]


@pytest.mark.django_db
def test_c13_the_commands_say_what_they_found_in_words(heads):
    happen(2)
    out = StringIO()
    call_command("verify_audit", stdout=out)
    assert "no heads" in out.getvalue()
    call_command("note_audit_head", stdout=out)
    assert f"2 events, noted in {heads}" in out.getvalue()
    call_command("note_audit_head", "--json", stdout=(noted := StringIO()))
    assert json.loads(noted.getvalue())["seq"] == 2
    call_command("verify_audit", stdout=out)
    assert "whole: 2 events, 1 heads agree" in out.getvalue()
    with by_hand() as cursor:
        cursor.execute(f"DELETE FROM {TABLE}")
    with pytest.raises(SystemExit):
        call_command("verify_audit", stdout=out)
    assert "The audit trail does not hold. The newest events are gone" in out.getvalue()


@pytest.mark.django_db
def test_c13_a_place_for_heads_that_cannot_be_written_is_named(settings, tmp_path):
    (tmp_path / "file").touch()
    settings.AUDIT_HEADS = tmp_path / "file" / "heads.jsonl"
    with pytest.raises(CommandError, match="SPENDOPS_AUDIT_HEADS"):
        call_command("note_audit_head")


@pytest.mark.django_db(transaction=True)
def test_c13_a_change_that_is_rolled_back_leaves_no_gap():
    happen(2)
    with transaction.atomic():
        happen()
        transaction.set_rollback(True)
    assert happen().id == 3
    assert verify_trail().whole


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_c13_appends_at_the_same_time_keep_one_chain():
    together = threading.Barrier(8)

    def work(number: int) -> None:
        try:
            together.wait(timeout=20)
            for turn in range(15):
                with transaction.atomic():
                    happen()
                    if turn % 5 == number % 5:
                        transaction.set_rollback(True)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(work, number) for number in range(8)]:
            each.result(timeout=60)
    assert list(AuditEvent.objects.order_by("id").values_list("id", flat=True)) == list(range(1, 8 * 12 + 1))
    assert verify_trail().whole
