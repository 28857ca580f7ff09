"""Whether a file's sums are those of the pages."""

from __future__ import annotations

from decimal import Decimal

from spend.queries.slices import Slice, cells

ZERO = Decimal(0)


def amiss(tenant_id: str, of: Slice, *, charge: Decimal, cost: Decimal | None = None) -> str:
    """How sums differ from what the figure of the pages says now; "" when they agree."""
    found = cells(tenant_id, of, purpose="export: check")
    wanted = found[0] if found else None
    expected = (wanted.charge if wanted else ZERO, wanted.cost if wanted else ZERO)
    if charge != expected[0]:
        return f"The file's charge is {charge} USD, and the pages say {expected[0]} USD."
    if cost is not None and cost != expected[1]:
        return f"The file's cost is {cost} USD, and the pages say {expected[1]} USD."
    return ""
