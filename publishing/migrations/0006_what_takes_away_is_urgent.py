from __future__ import annotations

import json
from typing import Any

from django.db import migrations

AT_ONCE = 1000


def mark(apps: Any, schema_editor: Any) -> None:
    """Rows that were made before urgency was kept, and deletions, which did not count as urgent: should a store lose
    everything, what takes something away is to be sent before the rest.
    """
    entries = apps.get_model("publishing", "KvEntry").objects.using(schema_editor.connection.alias)
    last = 0
    while rows := list(
        entries.filter(pk__gt=last, urgent=False).order_by("pk").values_list("pk", "key", "body")[:AT_ONCE]
    ):
        entries.filter(pk__in=[pk for pk, key, body in rows if takes_away(key, body)]).update(urgent=True)
        last = rows[-1][0]


def takes_away(key: str, body: bytes | memoryview | None) -> bool:
    """As `publishing.render.Document.urgent` says it of what is rendered."""
    if body is None:
        return True
    if not key.startswith(("key:", "tenant:")):
        return False
    said = json.loads(bytes(body))
    return bool(said.get("status", "active") != "active" or said.get("suspended") or said.get("block"))


class Migration(migrations.Migration):
    dependencies = [
        ("publishing", "0005_standing_of_stores"),
    ]

    operations = [
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
