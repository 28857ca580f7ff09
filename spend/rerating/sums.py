"""The sums of a re-rating: integers, which add up whatever the order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Sums(NamedTuple):
    """What was looked at and what changed. Amounts are pico-USD; an unpriced call adds nothing to them."""

    events: int = 0
    changed: int = 0
    cost_before: int = 0
    cost_after: int = 0
    charge_before: int = 0
    charge_after: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0
    adjusted: int = 0  # of those changed, the ones in sealed months: they stay, and the difference is booked apart
    adjusted_charge: int = 0  # by how much those change

    @property
    def difference(self) -> int:
        """By how much the charge changes, in pico-USD."""
        return self.charge_after - self.charge_before

    def stored(self) -> dict[str, str]:
        """As SQL keeps them: texts, for an amount may need more than 64 bits."""
        return {name: str(value) for name, value in self._asdict().items()}

    @classmethod
    def of(cls, stored: dict[str, str]) -> Sums:
        """What `stored` wrote; nothing, when it is empty."""
        return cls(**{name: int(value) for name, value in stored.items()})


def added(parts: Iterable[Sums]) -> Sums:
    """The sum of several."""
    return Sums(*(sum(column) for column in zip(Sums(), *parts, strict=True)))
