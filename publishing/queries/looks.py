"""Comparisons of stores with SQL: those that were made, and those that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from access.models import User
from publishing.models import RECONCILE_COMMAND, Comparison, Reconciliation
from publishing.subjects import Subject, subjects_of


class Example(NamedTuple):
    """A document of which something was found."""

    subject: Subject
    what: str


class Look(NamedTuple):
    """A comparison as it is shown."""

    row: Reconciliation
    by: str
    examples: Sequence[Example]

    @property
    def label(self) -> str:
        return look_label(self.row)[0]

    @property
    def kind(self) -> str:
        """The status badge's."""
        return look_label(self.row)[1]

    @property
    def differing(self) -> int:
        return self.row.absent + self.row.different + self.row.foreign

    @property
    def more(self) -> int:
        """Documents that differ and are not among the examples."""
        return max(0, self.differing - len(self.examples))


_LABELS = {
    Reconciliation.Status.CLEAN: ("As SQL says", "ok"),
    Reconciliation.Status.REPAIRED: ("Repaired", "accent"),
    Reconciliation.Status.DRY: ("Differs, dry run", "warn"),
    Reconciliation.Status.HELD: ("Held", "warn"),
    Reconciliation.Status.FAILED: ("Not compared", "bad"),
}


_PROGRAMS = {RECONCILE_COMMAND: "By command"}


def look_label(row: Reconciliation) -> tuple[str, str]:
    """What a comparison came to, in words, and the status badge's kind."""
    return _LABELS[Reconciliation.Status(row.status)]


def looks(*, with_examples: bool, before: int | None = None, most: int = 30) -> list[Look]:
    """The comparisons, the newest first. `before` is the id of the last one seen. Without examples, they name nothing
    that belongs to a tenant.
    """
    rows = Reconciliation.objects.order_by("-id")
    if before is not None:
        rows = rows.filter(id__lt=before)
    found = list(rows[:most])
    if not with_examples:
        for row in found:
            row.examples, row.error = [], ""
    return explained(found)


def explained(rows: Sequence[Reconciliation]) -> list[Look]:
    """Comparisons with who had them made, and what their examples are about, as far as the open tenant scope allows."""
    subjects = subjects_of((row.env, each["key"]) for row in rows for each in row.examples)
    people = {user.pk: str(user) for user in User.objects.filter(pk__in={row.by_id for row in rows})}
    return [
        Look(
            row=row,
            by=people.get(row.by_id, _PROGRAMS.get(row.by_id, "On schedule") if row.by_kind == "system" else row.by_id),
            examples=[Example(subjects[row.env, each["key"]], each["what"]) for each in row.examples],
        )
        for row in rows
    ]


def asked_for() -> set[tuple[str, str]]:
    """The environments and stores that wait for a comparison somebody asked for."""
    return set(Comparison.objects.values_list("env", "store"))
