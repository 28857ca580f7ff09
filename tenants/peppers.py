"""Which peppers keys are hashed under, and which of them may be taken away."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Max, Q
from django.utils import timezone

from tenants.models import ApiKey
from tenants.scope import across_tenants


class PepperStanding(NamedTuple):
    """A version of the pepper, and the keys of all tenants that need it."""

    version: int
    given: bool  # whether this process knows it
    newest: bool  # whether new keys are hashed under it
    keys: int  # not revoked
    expired: int  # of those: they work again when their expiry is moved
    taken_over: int  # of those: they cannot be rotated without their holders changing them
    last_used_at: datetime | None

    @property
    def missing(self) -> bool:
        """Whether keys need it that nobody can be let in with."""
        return self.keys > 0 and not self.given

    @property
    def may_go(self) -> bool:
        """Whether it can be taken away without any key becoming unknown."""
        return self.given and not self.newest and self.keys == 0


def pepper_standings(given: Collection[int]) -> list[PepperStanding]:
    """Every version that is given or needed, in order. `given` is `settings.SPENDOPS.peppers`."""
    living = ~Q(status=ApiKey.Status.REVOKED)
    with across_tenants("a pepper serves all tenants"):
        rows = {
            row["pepper_version"]: row
            for row in ApiKey.objects.order_by()
            .filter(living)
            .values("pepper_version")
            .annotate(
                keys=Count("id"),
                expired=Count("id", filter=Q(expires_at__lte=timezone.now())),
                taken=Count("id", filter=Q(taken_over=True)),
                used=Max("last_used_at"),
            )
        }
    found = []
    for version in sorted({*given, *rows}):
        row = rows.get(version, {"keys": 0, "expired": 0, "taken": 0, "used": None})
        newest = version == max(given)
        found.append(
            PepperStanding(version, version in given, newest, row["keys"], row["expired"], row["taken"], row["used"])
        )
    return found


def name_of(version: int) -> str:
    """The setting that gives a version."""
    return "SPENDOPS_KEY_PEPPER" if version == 1 else f"SPENDOPS_KEY_PEPPER_V{version}"
