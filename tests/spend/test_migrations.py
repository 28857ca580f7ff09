"""ClickHouse's schema: one statement a file, forward only, remembered, and seen whole in a snapshot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from spend.clickhouse import ddl
from spend.clickhouse import migrate as module
from spend.clickhouse.client import ask, command
from spend.clickhouse.migrate import migrate, migrations, plan

REMEMBERED = {
    "0001_usage_events": "f8cae6644add",
    "0002_denial_events": "582cc7070161",
    "0003_usage_daily": "c9884a1099a8",
    "0004_usage_events_adjusts": "22fd4061ba38",
    "0005_usage_events_source": "175671bc92da",
    "0006_usage_events_calls": "37eb2e65173c",
    "0007_imported_usage": "80336954c297",
}
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


def test_a_second_run_writes_each_file_as_it_is_remembered():
    """Existing installations remember these digests: a file that was released never changes."""
    assert {each.name: each.sha256[:12] for each in migrations()} == REMEMBERED


@pytest.mark.parametrize("cluster", ["", "spend_cluster"])
def test_what_is_run_is_the_text_in_the_snapshot(cluster):
    """On one server, and on a cluster: nobody has run the latter here, so its text is all there is to look at."""
    statements = [module._CREATE_TABLE.strip()]
    statements += [each.sql for each in migrations()]
    texts = [ddl.create_database(cluster=cluster), *(ddl.rendered(sql, cluster=cluster) for sql in statements)]
    shown = "\n\n".join(f"{text};" for text in texts) + "\n"
    assert shown == (SNAPSHOT.parent / f"statements_{'cluster' if cluster else 'single'}.sql").read_text()


def test_on_a_cluster_every_statement_names_it_and_every_table_is_replicated():
    for each in migrations():
        text = re.sub(r"--[^\n]*", "", ddl.rendered(each.sql, cluster="spend_cluster"))
        assert text.count("ON CLUSTER 'spend_cluster'") == 1, each.name
        assert "MergeTree" not in text.replace("ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/all', ", "")


def test_how_long_rows_are_kept_follows_the_settings(clickhouse, settings, capsys):
    settings.USAGE_RETENTION_DAYS, settings.DENIAL_RETENTION_DAYS = 90, 400
    try:
        with pytest.raises(CommandError, match="4 ClickHouse migrations are pending"):
            call_command("migrate_clickhouse", "--check")
        call_command("migrate_clickhouse", "--plan")
        plan_text = capsys.readouterr().out
        assert "usage_events MODIFY TTL toDateTime(ts) + toIntervalDay(90)" in plan_text
        assert "denial_events MODIFY TTL toDateTime(ts) + toIntervalDay(400)" in plan_text
        call_command("migrate_clickhouse")
        call_command("migrate_clickhouse", "--check")
        settings.DENIAL_RETENTION_DAYS = 0
        assert "retention of denial_events: for ever" in migrate()
        assert migrate() == []
    finally:
        settings.USAGE_RETENTION_DAYS = settings.DENIAL_RETENTION_DAYS = 0
        migrate()
