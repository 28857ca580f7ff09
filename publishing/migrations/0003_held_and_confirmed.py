from typing import Any

from django.db import migrations, models

INDEX = "kv_entry_in_key_order"


def add_index(apps: Any, schema_editor: Any) -> None:
    """Stores list in the order of bytes, and so does SQLite; PostgreSQL's own order depends on its locale."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f'CREATE INDEX {INDEX} ON publishing_kventry (env, store, key COLLATE "C")')


def remove_index(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX IF EXISTS {INDEX}")


class Migration(migrations.Migration):
    dependencies = [
        ("publishing", "0002_stores_versions_reconciliations"),
    ]

    operations = [
        migrations.AddField(
            model_name="kventry",
            name="confirmed",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="kventry",
            name="held",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="reconciliation",
            name="confirmed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunPython(add_index, remove_index),
    ]
