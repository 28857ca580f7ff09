from __future__ import annotations

import pytest

from tenants.models import Tenant
from tests.budgets.making import Ledger, published
from tests.tenants.making import make_tenant


@pytest.fixture
def tenant(db: None) -> Tenant:
    made = make_tenant("Example Corp", time_zone="Asia/Kolkata")
    published()
    return made


@pytest.fixture
def stranger(db: None) -> Tenant:
    made = make_tenant("Other Corp", time_zone="America/New_York")
    published()
    return made


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()
