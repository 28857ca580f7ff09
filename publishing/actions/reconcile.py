"""What a person decides about what a guard holds back."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record, wake_publisher
from publishing.errors import NotHeldError
from publishing.models import KvEntry, Reconciliation
from publishing.reconcile.run import latest


def confirm_reconciliation(*, reconciliation: Reconciliation, by: Actor) -> None:
    """Let a held repair happen: within seconds, and only if the differences are still exactly these.

    Raises NotHeldError when another run came to another end since.
    """
    with transaction.atomic():
        row = Reconciliation.objects.select_for_update().get(pk=reconciliation.pk)
        last = latest(row.env, row.store)
        if row.status != Reconciliation.Status.HELD or last is None or last.confirmation != row.confirmation:
            raise NotHeldError("These differences are not held any more: look at what the last comparison found.")
        if last.confirmed_at is not None:
            return
        Reconciliation.objects.filter(pk=last.pk).update(confirmed_at=timezone.now())
        record(
            "kv_namespace.confirmed",
            by=by,
            tenant="",
            target_kind="kv_namespace",
            target_id=f"{row.env} {row.store}"[:128],
            after={
                "absent": row.absent,
                "different": row.different,
                "foreign": row.foreign,
                "confirmation": row.confirmation,
            },
        )


def confirm_publish(*, env: str, code: str, by: Actor) -> int:
    """Publish a document that a guard holds, in all stores where the same is held. Returns in how many.

    Raises NotHeldError when nothing is held with that code.
    """
    with transaction.atomic():
        held = KvEntry.objects.filter(env=env, held=code, parked=True).exclude(held="")
        rows = list(held.select_for_update().defer("body"))
        if not rows:
            raise NotHeldError(
                f"Nothing of {env} is held with the code {code!r}: the ledger, and manage.py confirm_publish --env "
                f"{env}, show what is held now."
            )
        pks = [row.pk for row in rows]
        KvEntry.objects.filter(pk__in=pks).update(
            confirmed=code, parked=False, attempts=0, next_at=timezone.now(), error=""
        )
        record(
            "kv_entry.confirmed",
            by=by,
            tenant=rows[0].tenant_id,
            target_kind="kv_entry",
            target_id=f"{env} {rows[0].key}"[:128],
            before={"held_because": rows[0].error},
            after={"confirmation": code, "rev": rows[0].rev, "stores": [row.store for row in rows]},
        )
        wake_publisher()
    return len(rows)
