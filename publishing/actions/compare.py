"""Asking for a comparison, which a worker makes."""

from __future__ import annotations

from django.db import transaction

from changes.actor import Actor
from changes.record import record
from publishing.models import Comparison
from wire.kv.stores import Store


def ask_for_comparison(*, store: Store, by: Actor) -> Comparison:
    """Have a store compared with SQL, without repairing anything. Asked again before that is done, it is done once."""
    with transaction.atomic():
        asked, new = Comparison.objects.get_or_create(
            env=store.env, store=store.id, defaults={"by_kind": by.kind, "by_id": by.id}
        )
        if new:
            record(
                "kv_namespace.comparison_asked",
                by=by,
                tenant="",
                target_kind="kv_namespace",
                target_id=f"{store.env} {store.id}"[:128],
            )
    return asked
