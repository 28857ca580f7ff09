"""A comparison in words."""

from __future__ import annotations

from publishing.models import Reconciliation


def sentence_of(row: Reconciliation) -> str:
    """What was found and what became of it, with the first documents that differ."""
    where = f"{row.env} {row.store}"
    if row.status == Reconciliation.Status.FAILED:
        return f"{where}: could not be compared. {row.error}"
    if not row.absent + row.different + row.foreign:
        return f"{where}: {row.checked:,} documents compared, all are what SQL says."
    end = {
        Reconciliation.Status.REPAIRED: "The publisher sends what is right.",
        Reconciliation.Status.DRY: f"Nothing was repaired, as asked. {row.error}".strip(),
    }.get(Reconciliation.Status(row.status), row.error)
    examples = "".join(f"\n  {each['key']}: {each['what']}" for each in row.examples)
    return (
        f"{where}: {row.checked:,} documents compared, {row.absent:,} missing, {row.different:,} different, "
        f"{row.foreign:,} foreign. {end}{examples}"
    )
