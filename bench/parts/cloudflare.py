"""How many calls 10,000 changed keys cost on Cloudflare's bulk path, on a real workerd KV."""

from __future__ import annotations

import time

from bench._measures import baseline, line
from bench.parts._installation import installation, say
from tests.cloudflare.peer import cloudflare_peer

KEYS = 10_000


def main() -> None:
    with cloudflare_peer() as peer, installation(SPENDOPS_KV_PROD=peer.store("prod"), **peer.settings):
        from bench.parts._keys import BY, add_keys
        from publishing.publisher import Publisher
        from tenants.actions.tenants import create_tenant
        from tenants.models import Project
        from tenants.scope import tenant_scope

        tenant = create_tenant(name="Bench", by=BY)
        with tenant_scope(tenant.id):
            project = Project.objects.get()
        publisher = Publisher.of_settings(["prod"])
        publisher.once()
        add_keys(tenant, project, KEYS, env="prod", publish=True)
        before = peer.calls("bulk")
        began = time.perf_counter()
        done = publisher.once()
        took = time.perf_counter() - began
        publisher.close()
        assert done.published == KEYS, done
        calls = peer.calls("bulk") - before
        say(line("cloudflare_calls_10k", calls, "calls", baseline("one call a key", KEYS), seconds=round(took, 1)))


if __name__ == "__main__":
    main()
