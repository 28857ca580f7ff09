"""How `usage_daily` is read. The one place that knows which of its rows count."""

from __future__ import annotations

GROUPS = {
    "model": "model",
    "project": "project_id",
    "key": "key_id",
    "provider": "provider",
    "env": "env",
    "status": "status",
    "tier": "tier",
}


def counted_days(where: str, days: str = "") -> str:
    """The rows of the fullest count of each day that `where` lets in, as a table expression.

    `days` is the part of `where` that is about tenants and days alone, if it says more: which count of a day is the
    fullest is told by all its groups.

    A recount that read its day before a re-rating may write after one that read it later. Its `ver` is smaller, so it
    loses group by group; but a group that only it knows would stand. So rows count with the highest `ver` of their day.
    """
    return (
        f"(SELECT * FROM usage_daily FINAL WHERE {where} AND (tenant_id, day, ver) IN"  # noqa: S608 - our own SQL
        f" (SELECT tenant_id, day, max(ver) FROM usage_daily WHERE {days or where} GROUP BY tenant_id, day))"
    )


def column_of(group_by: str) -> str:
    """The column of a grouping. Raises ValueError for one that does not exist."""
    if group_by not in GROUPS:
        raise ValueError(f"Spend cannot be grouped by {group_by!r}: choose one of {', '.join(GROUPS)}.")
    return GROUPS[group_by]
