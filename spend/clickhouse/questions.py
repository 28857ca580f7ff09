"""The questions that run at this moment, and stopping them.

Both ClickHouse and the embedded engine list what runs with its `log_comment`, where the one door writes purpose and
tenant. Stopping is asked for, not waited for: the engine ends a statement between two blocks.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from spend.clickhouse.client import ask, command

PURPOSE = "running questions"
# what has no purpose is of somebody else: ours all have one
_RUNNING = """
SELECT query_id, Settings['log_comment'], elapsed, read_rows, memory_usage FROM system.processes
WHERE current_database = currentDatabase() AND startsWith(Settings['log_comment'], '{"purpose"') ORDER BY elapsed DESC
"""


class Question(NamedTuple):
    """One that runs. `tenant` is "*" when it concerns all, "" for a statement that changes something."""

    query_id: str
    purpose: str
    tenant: str
    seconds: float
    rows_read: int
    memory_bytes: int


def running_questions() -> list[Question]:
    """What runs for us, the longest first, without this question itself. Raises ClickHouseError."""
    rows = ask(_RUNNING, across_tenants=True, purpose=PURPOSE)
    found = [Question(row[0], *_said(row[1]), *row[2:]) for row in rows]
    return [each for each in found if each.purpose != PURPOSE]


def stop_questions(purpose: str | None = None) -> list[Question]:
    """Stop those of a purpose, or all of them; the ones that were told to stop. Raises ClickHouseError.

    Statements that change something (inserts, recounts, migrations) are never stopped.
    """
    meant = [each for each in running_questions() if each.tenant and purpose in (None, each.purpose)]
    if meant:
        command(
            "KILL QUERY WHERE query_id IN %(ids)s ASYNC",
            {"ids": tuple(each.query_id for each in meant)},
            purpose="stop questions",
        )
    return meant


def _said(comment: str) -> tuple[str, str]:
    said: dict[str, Any] = json.loads(comment)
    return str(said.get("purpose", "")), str(said.get("tenant", ""))
