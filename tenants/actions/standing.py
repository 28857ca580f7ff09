"""Whether a tenant may still be changed."""

from __future__ import annotations

from tenants.errors import StatusError
from tenants.models import Tenant


def hold_open(tenant_id: str) -> Tenant:
    """The tenant, locked until the transaction ends, so that nobody archives it meanwhile.

    Raises StatusError for an archived one: nothing of it is changed any more, except that access is taken away.
    """
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    if tenant.status == Tenant.Status.ARCHIVED:
        raise StatusError(
            f"The tenant “{tenant.name}” is archived: nothing of it can be changed. Ask a platform admin to bring it "
            "back first."
        )
    return tenant
