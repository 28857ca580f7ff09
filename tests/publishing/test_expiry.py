"""A revoked key's document goes by itself where a store can forget: the second wall behind its deletion."""

from __future__ import annotations

import time

import httpx
import pytest

from tenants.actions.keys import disable_key, revoke_key
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import key_document, tenant_document

DAY = 86_400


@pytest.fixture
def listed(cloudflare):
    """When Cloudflare forgets each document of dev; None for never."""

    def expirations() -> dict[str, int | None]:
        headers = {"authorization": f"Bearer {cloudflare.token}"}
        found = httpx.get(f"{cloudflare.address('dev')}/keys", headers=headers, timeout=10).json()["result"]
        return {each["name"]: each.get("expiration") for each in found}

    return expirations


def test_only_the_documents_of_revoked_keys_expire(stores, publisher, cloudflare, listed):
    stores.name({"dev": [stores.cloudflare("dev", cloudflare)]})
    publisher = stores.publisher()
    tenant = make_tenant()
    working, disabled, revoked = (issue(tenant, name=name).key for name in ("working", "revoked", "leaked"))
    disable_key(key=disabled, by=SOMEBODY)
    publisher.once()
    assert set(listed().values()) == {None}
    revoke_key(key=revoked, by=SOMEBODY)
    publisher.once()
    publisher.close()
    ends = listed()
    ahead = ends.pop(key_document(revoked.hash)) - time.time()
    assert 2 * DAY - 300 < ahead <= 2 * DAY
    assert set(ends.values()) == {None}
    assert {key_document(working.hash), key_document(disabled.hash), tenant_document(tenant.id)} < set(ends)
