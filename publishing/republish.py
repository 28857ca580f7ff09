"""Everything anew: all documents of an environment at a higher rev, a piece at a time, between the normal rounds."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from changes.actor import Actor
from changes.models import AuditEvent
from changes.record import record, wake_publisher
from publishing import leases
from publishing.entries import raise_revs
from publishing.errors import RepublishError
from publishing.models import KvEntry, Republish

PIECE = 500
BY_PUBLISHER = Actor.system("publishing.publisher")


def start_republish(*, env: str, by: Actor) -> Republish:
    """Have everything published anew. Nothing is deleted by it that SQL did not delete. Raises RepublishError while one
    is running.
    """
    with transaction.atomic():
        leases.wait_for_turn(leases.OUTBOX)
        if running := running_republish(env):
            raise RepublishError(
                f"Everything in {env} is being published anew already: {running.done:,} of {running.total:,} documents "
                f"are done. Wait until it has ended, or stop it with manage.py republish --env {env} --stop."
            )
        total = KvEntry.objects.filter(env=env).values("key").distinct().count()
        event = _record("kv.republish_started", env, by=by, after={"documents": total})
        found = Republish.objects.create(env=env, total=total, why=event.pk)
        wake_publisher()
    return found


def stop_republish(*, env: str, by: Actor) -> Republish:
    """Leave it where it is: what was raised is sent, the rest stays as it was. Raises RepublishError when none runs."""
    with transaction.atomic():
        leases.wait_for_turn(leases.OUTBOX)
        found = running_republish(env)
        if found is None:
            raise RepublishError(f"Nothing is being published anew in {env}.")
        _end(found, Republish.Status.STOPPED)
        _record("kv.republish_stopped", env, by=by, after={"documents": found.done})
    return found


def running_republish(env: str) -> Republish | None:
    """The one that is under way in an environment."""
    return Republish.objects.filter(env=env, status=Republish.Status.RUNNING).first()


def republish_piece() -> bool:
    """Raise some documents of a republish that is under way. Returns whether there was one.

    One transaction with the mark of how far it came: after a crash it goes on from there.
    """
    running = Republish.objects.filter(status=Republish.Status.RUNNING).order_by("id")
    if not running.exists():
        return False
    with transaction.atomic():
        leases.wait_for_turn(leases.OUTBOX)
        found = running.first()
        if found is None:
            return False
        keys = _next_keys(found)
        if keys:
            raise_revs(found.env, keys, why=found.why)
            Republish.objects.filter(pk=found.pk).update(after=keys[-1], done=F("done") + len(keys))
        else:
            _end(found, Republish.Status.DONE)
            _record("kv.republish_ended", found.env, by=BY_PUBLISHER, after={"documents": found.done})
    return True


def _next_keys(found: Republish) -> list[str]:
    rows = KvEntry.objects.filter(env=found.env, key__gt=found.after).order_by("key")
    return list(rows.values_list("key", flat=True).distinct()[:PIECE])


def _end(found: Republish, status: Republish.Status) -> None:
    found.status, found.ended_at = status, timezone.now()
    found.save(update_fields=["status", "ended_at"])


def _record(kind: str, env: str, *, by: Actor, after: dict[str, int]) -> AuditEvent:
    return record(kind, by=by, tenant="", target_kind="kv_environment", target_id=env, after=after)
