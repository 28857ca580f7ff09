"""Who made or decided something about prices, in words. Tenants need not know who runs the installation."""

from __future__ import annotations

from collections.abc import Collection

from access.models import User
from tenants.http import TenantRequest
from tenants.permissions import Permission

ADMIN = "a platform admin"


def named(ids: Collection[str], request: TenantRequest) -> dict[str, str]:
    """Names for the ids of actors, by id: those of persons only for who may change prices, too."""
    if Permission.PRICES_CHANGE not in request.permissions:
        return dict.fromkeys(ids, ADMIN)
    known = {user.pk: str(user) for user in User.objects.filter(pk__in=set(ids))}
    return {each: known.get(each, each) for each in ids}
