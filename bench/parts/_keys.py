"""Many keys in one go: as rows, since issuing 100,000 one by one is not what is measured."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.db import transaction
from django.db.models import F

from changes.actor import Actor
from changes.record import Publish, Topic, record
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import tenant_scope
from wire.keys import hash_of_sha256, random_text

BY = Actor.system("bench")
_AT_ONCE = 5000


def add_keys(tenant: Tenant, project: Project, count: int, *, env: str, publish: bool) -> None:
    """Add keys that allow some models and carry a limit; with `publish`, their documents become due."""
    pepper = settings.SPENDOPS.pepper
    with tenant_scope(tenant.id), transaction.atomic():
        for start in range(0, count, _AT_ONCE):
            rows = []
            for number in range(start, min(start + _AT_ONCE, count)):
                public_id = random_text(12)
                digest = hashlib.sha256(f"{project.id} {public_id}".encode()).digest()
                rows.append(
                    ApiKey(
                        id=public_id,
                        tenant=tenant,
                        project=project,
                        name=f"service {number:06d}",
                        env=env,
                        hash=hash_of_sha256(digest, pepper),
                        pepper_version=settings.SPENDOPS.pepper_version,
                        last_four=public_id[-4:],
                        allowed_models=["gpt-4o*", "claude-*"],
                        rpm=600,
                        tags={"team": f"t{number % 40}"},
                        created_by=BY.id,
                    )
                )
            ApiKey.objects.bulk_create(rows)
        Tenant.objects.filter(pk=tenant.pk).update(keys_living=F("keys_living") + count)
        Project.objects.filter(pk=project.pk).update(keys_living=F("keys_living") + count)
        if publish:
            again = [Publish(Topic.PROJECT, project.id)]
            record(
                "project.created", by=BY, tenant=tenant.id, target_kind="project", target_id=project.id, publish=again
            )
