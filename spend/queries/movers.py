"""What moved a tenant's spend: the groups whose charge changed most against other days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spend.queries.slices import Cell, Slice, cells

ZERO = Decimal(0)


class Mover(NamedTuple):
    """A group's charge on the days asked for and on those they are held against, USD, exact."""

    groups: tuple[str, ...]
    before: Decimal
    now: Decimal

    @property
    def change(self) -> Decimal:
        return self.now - self.before

    @property
    def share(self) -> Decimal | None:
        """The change as a share of what it was before; None for what is new."""
        return self.change / self.before if self.before else None

    @property
    def kind(self) -> str:
        """ "new" or "gone" when there was no charge on one side, else "up" or "down"."""
        if not self.before:
            return "new"
        if not self.now:
            return "gone"
        return "up" if self.change > 0 else "down"


def movers(
    tenant_id: str, of: Slice, compared: tuple[date, date], *, by: Sequence[str], most: int | None = None
) -> list[Mover]:
    """The groups that moved the most, up or down, those first, against the same slice on the compared days.

    What did not change is left out. Raises what `slices.cells` raises.
    """
    now = cells(tenant_id, of, by=by, purpose="movers")
    before = cells(tenant_id, of.on(*compared), by=by, purpose="movers")
    return moved(now, before)[:most]


def moved(now: Iterable[Cell], before: Iterable[Cell]) -> list[Mover]:
    """The same of cells that are at hand, one for each group on each side."""
    charges = {cell.groups: (ZERO, cell.charge) for cell in now}
    for cell in before:
        charges[cell.groups] = (cell.charge, charges.get(cell.groups, (ZERO, ZERO))[1])
    found = [Mover(groups, *amounts) for groups, amounts in charges.items()]
    return sorted((each for each in found if each.change), key=lambda each: (-abs(each.change), each.groups))
