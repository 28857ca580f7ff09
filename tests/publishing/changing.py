"""Changes of SQL as they are after an action, where a test is about what comes of them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from changes.record import Publish, Topic, record
from publishing.models import KvEntry
from tenants.models import ApiKey
from tests.tenants.making import SOMEBODY


def publish_again(topic: Topic, object_id: str, *, urgent: bool = False) -> None:
    with transaction.atomic():
        again = [Publish(topic, object_id, urgent=urgent)]
        record("test.again", by=SOMEBODY, tenant="", target_kind="x", target_id="x", publish=again)


def change_key(key: ApiKey, **fields: Any) -> None:
    """Edit a key's policy."""
    ApiKey._base_manager.filter(pk=key.pk).update(**fields)
    publish_again(Topic.KEY, key.pk)


def revs(store: str, env: str = "dev") -> dict[str, tuple[int, int]]:
    """By document what SQL wants in a store and what the store acknowledged."""
    rows = KvEntry.objects.filter(env=env, store=store)
    return {key: (rev, published) for key, rev, published in rows.values_list("key", "rev", "published_rev")}
