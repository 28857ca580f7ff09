"""Run as a program with the settings of an installation: commits changes and measures how soon KV has them.

Prints the milliseconds from each commit until the document is in the store, as one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time

import django


def main() -> None:
    django.setup()
    from django.conf import settings

    from tenants.actions.keys import issue_key, revoke_key
    from tenants.actions.tenants import create_tenant
    from tenants.models import Project
    from tenants.scope import tenant_scope
    from tests.tenants.making import SOMEBODY
    from wire.documents import KeyStatus, decode_key, key_document

    kv = settings.SPENDOPS.open_kv("dev")

    def until(name: str, status: KeyStatus) -> float:
        committed = time.monotonic()
        while time.monotonic() < committed + 20:
            body = kv.get(name)
            if body is not None and decode_key(body).status is status:
                return (time.monotonic() - committed) * 1000
            time.sleep(0.001)
        raise SystemExit(f"{name} was not {status} within 20 s")

    tenant = create_tenant(name=sys.argv[1], by=SOMEBODY)
    with tenant_scope(tenant.id):
        project = Project.objects.get(tenant=tenant)
    waits = []
    for number in range(int(sys.argv[2])):
        key = issue_key(tenant=tenant, project=project, name=f"key {number}", env="dev", by=SOMEBODY).key
        waits.append(until(key_document(key.hash), KeyStatus.ACTIVE))
        revoke_key(key=key, by=SOMEBODY)
        waits.append(until(key_document(key.hash), KeyStatus.REVOKED))
    print(json.dumps(waits))


if __name__ == "__main__":
    main()
