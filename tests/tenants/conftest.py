"""People and keys that pages are tested with."""

from __future__ import annotations

import pytest

from tests.tenants.making import issue, make_tenant


@pytest.fixture
def our_key(admin_client):
    """A key of the tenant that the signed-in admin looks at."""
    return issue(admin_client.tenant, "Billing bot")


@pytest.fixture
def their_key(admin_client):
    """A key of a tenant that the signed-in admin, though a platform admin, is not looking at."""
    return issue(make_tenant("Strangers Ltd"), "Foreign bot")
