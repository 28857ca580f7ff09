"""ClickHouse's schema: one statement a file, forward only, remembered, and seen whole in a snapshot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from spend.clickhouse import migrate as module
from spend.clickhouse.client import ask, command
from spend.clickhouse.migrate import migrate, migrations, plan

SNAPSHOT = Path(__file__).parent / "fixtures" / "schema.sql"


def test_every_file_is_one_statement_that_may_be_run_twice():
    names = [each.name for each in migrations()]
    assert names == sorted(names)
    assert len({name[:4] for name in names}) == len(names)
    for each in migrations():
        assert re.match(r"^\d{4}_[a-z_]+$", each.name), each.name
        assert ";" not in re.sub(r"'[^']*'|--[^\n]*", "", each.sql), f"{each.name} has more than one statement"
        assert "IF NOT EXISTS" in each.sql or "IF EXISTS" in each.sql, f"{each.name} cannot be run twice"


def test_a_second_run_has_nothing_to_do(clickhouse, capsys):
    assert migrate() == []
    call_command("migrate_clickhouse", "--check")
    call_command("migrate_clickhouse", "--plan")
    assert capsys.readouterr().out.count("up to date") == 2


def test_a_file_that_was_edited_after_its_run_is_refused(clickhouse, tmp_path, monkeypatch):
    for each in migrations():
        (tmp_path / f"{each.name}.sql").write_text(each.sql + ("\n-- edited" if each.name.startswith("0002") else ""))
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(CommandError, match="0002_denial_events"):
        call_command("migrate_clickhouse", "--check")
    with pytest.raises(CommandError, match="add a new file"):
        call_command("migrate_clickhouse")


def test_one_that_was_only_started_is_run_again(clickhouse, tmp_path, monkeypatch):
    for each in migrations():
        (tmp_path / f"{each.name}.sql").write_text(each.sql)
    (tmp_path / "9998_broken.sql").write_text(
        "CREATE TABLE IF NOT EXISTS {database}.trial (n Nonsense) ENGINE = Memory"
    )
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(CommandError):
        call_command("migrate_clickhouse")
    assert [each.name for each in plan().pending] == ["9998_broken"]
    try:
        (tmp_path / "9998_broken.sql").write_text(
            "CREATE TABLE IF NOT EXISTS {database}.trial (n UInt8) ENGINE = Memory"
        )
        command(
            "ALTER TABLE schema_migrations DELETE WHERE name = '9998_broken' SETTINGS mutations_sync = 1",
            purpose="a test",
        )
        assert migrate() == ["9998_broken"]
        assert plan().pending == []
    finally:
        command("DROP TABLE IF EXISTS trial", purpose="a test")
        command(
            "ALTER TABLE schema_migrations DELETE WHERE name = '9998_broken' SETTINGS mutations_sync = 1",
            purpose="a test",
        )


def test_the_schema_is_the_one_in_the_snapshot(clickhouse):
    """After a change on purpose, write the new text into the snapshot: its diff is what reviewers read."""
    tables = ["denial_events", "imported_usage", "schema_migrations", "usage_daily", "usage_events"]
    rows = ask(
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name",
        across_tenants=True,
        purpose="a test",
    )
    assert [name for name, _ in rows] == tables
    shown = "\n\n".join(re.sub(r", (?=`|INDEX)", ",\n    ", sql) for _, sql in rows) + "\n"
    assert shown == SNAPSHOT.read_text()
