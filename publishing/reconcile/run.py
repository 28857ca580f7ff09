"""One comparison of a store with SQL, from the lease to the row that tells what became of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import django.db
import structlog
from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from publishing import leases
from publishing.errors import ReconcileBusyError
from publishing.guards import is_dead, why_not_repaired
from publishing.models import KvEntry, Reconciliation
from publishing.namespace import Namespace
from publishing.reconcile.differences import Found, Wrong
from publishing.reconcile.looking import Looked, look
from publishing.reconcile.repair import repair
from wire.documents import KeyStatus, decode_key, key_document
from wire.kv.stores import Kind, Store

log = structlog.get_logger(__name__)

LIFETIME = timedelta(minutes=5)  # of the lease, renewed with every piece
SETTLES_IN = {Kind.CLOUDFLARE: timedelta(seconds=90)}  # how far a listing may be behind the writes
EXAMPLES = 20
KEPT = timedelta(days=90)

ABSENT = (Wrong.ABSENT,)
DIFFERENT = (Wrong.OLDER, Wrong.OTHER, Wrong.NEWER, Wrong.ALIVE, Wrong.UNSAID)
FOREIGN = (Wrong.FOREIGN, Wrong.ORPHAN)
_AHEAD = (Wrong.NEWER, Wrong.OTHER)


class _Verdict(NamedTuple):
    status: Reconciliation.Status
    code: str = ""
    error: str = ""


def reconcile(store: Store, *, by: Actor, dry: bool = False, confirm: str = "") -> Reconciliation:
    """Compare a store with SQL and have repaired what is wrong. Returns the row that is kept of it.

    A repair that a guard holds back is done when `confirm`, or a person on the page, confirms exactly its code. With
    another code nothing is done. Raises ReconcileBusyError while another run compares the same store.
    """
    lease, holder = f"check {leases.name_of(store)}", leases.new_holder()

    def renew() -> None:
        leases.acquire(lease, holder, lifetime=LIFETIME)

    if not leases.acquire(lease, holder, lifetime=LIFETIME):
        raise ReconcileBusyError(f"Another run compares {store.id} of {store.env} just now: try again when it is done.")
    namespace, found = Namespace(store), Found()
    try:
        return _reconcile(namespace, found, by=by, dry=dry, confirm=confirm, renew=renew)
    except django.db.Error:
        raise
    except Exception as error:  # whatever the store raises
        text = str(error)[:500] or type(error).__name__
        log.error("A store could not be compared with SQL", namespace=namespace.name, error=text)
        found.clear()
        return _row(store, Looked(), found, _Verdict(Reconciliation.Status.FAILED, error=text), by)
    finally:
        found.close()
        namespace.close()
        leases.release(lease, holder)


def prune() -> int:
    """Forget what was found more than 90 days ago."""
    return Reconciliation.objects.filter(at__lt=timezone.now() - KEPT).delete()[0]


def latest(env: str, store: str) -> Reconciliation | None:
    """The last comparison of a store that came to an end and was not only a look."""
    no_end = (Reconciliation.Status.DRY, Reconciliation.Status.FAILED)
    rows = Reconciliation.objects.filter(env=env, store=store).exclude(status__in=no_end)
    return rows.order_by("-at", "-id").first()


def _reconcile(
    namespace: Namespace, found: Found, *, by: Actor, dry: bool, confirm: str, renew: Callable[[], None]
) -> Reconciliation:
    namespace.check()  # another environment's documents are not compared with ours
    store = namespace.store
    looked = _look_twice(namespace, found, renew)
    verdict = _verdict(namespace, found, looked, dry=dry, confirm=confirm)
    if verdict.status is not Reconciliation.Status.REPAIRED:
        return _row(store, looked, found, verdict, by)
    with transaction.atomic():
        row = _row(store, looked, found, verdict, by)
        event = _record("kv_namespace.repaired", row, by)
    repair(found, env=store.env, store=store.id, why=event, renew=renew)
    return row


def _look_twice(namespace: Namespace, found: Found, renew: Callable[[], None]) -> Looked:
    """What both looks found alike is wrong; anything else was changing just then."""
    store = namespace.store
    settles_in = SETTLES_IN.get(store.kind, timedelta())
    looked = Looked()
    for each in look(namespace, looked=looked, settles_in=settles_in, renew=renew):
        found.add(each)
    if len(found):
        looked = Looked()
        for each in look(namespace, looked=looked, settles_in=settles_in, renew=renew):
            found.see_again(each)
        found.forget_others()
    return looked


def _verdict(namespace: Namespace, found: Found, looked: Looked, *, dry: bool, confirm: str) -> _Verdict:
    store = namespace.store
    if not len(found):
        return _Verdict(Reconciliation.Status.CLEAN)
    code = found.code(store.env, store.id)
    why_not = why_not_repaired(
        in_sql=looked.in_sql,
        in_store=looked.in_store,
        removed=found.count(*FOREIGN),
        ahead=found.count(*_AHEAD),
        revived=_revived(namespace, found),
        confirmation=code,
    )
    if dry:
        return _Verdict(Reconciliation.Status.DRY, code if why_not else "", why_not)
    if confirm and confirm != code:
        return _Verdict(
            Reconciliation.Status.HELD,
            code,
            "What differs is not what was confirmed: nothing was repaired. Look at it, then confirm exactly these "
            f"differences: {code}",
        )
    if why_not and code not in (confirm, _confirmed(store)):
        return _Verdict(Reconciliation.Status.HELD, code, why_not)
    return _Verdict(Reconciliation.Status.REPAIRED)


def _confirmed(store: Store) -> str:
    """The code that a person has confirmed on the page, as long as no other run came to another end since."""
    last = latest(store.env, store.id)
    return last.confirmation if last is not None and last.confirmed_at is not None else ""


def _revived(namespace: Namespace, found: Found) -> str:
    """A key that is revoked or deleted in the store and that SQL would have work again, "" when there is none."""
    keys = [
        each.key for each in found if each.wrong in _AHEAD and each.digest and each.key.startswith(key_document(""))
    ]
    for start in range(0, len(keys), 1000):
        part = keys[start : start + 1000]
        held = namespace.get_many(part)
        dead = [key for key in part if key in held and is_dead(held[key])]
        rows = KvEntry.objects.filter(env=namespace.env, store=namespace.store.id, key__in=dead).order_by("key")
        for key, body in rows.values_list("key", "body"):
            if body is not None and decode_key(bytes(body)).status is not KeyStatus.REVOKED:
                return str(key)
    return ""


def _row(store: Store, looked: Looked, found: Found, verdict: _Verdict, by: Actor) -> Reconciliation:
    before = latest(store.env, store.id)
    with transaction.atomic():
        row = Reconciliation.objects.create(
            env=store.env,
            store=store.id,
            status=verdict.status,
            checked=looked.documents,
            absent=found.count(*ABSENT),
            different=found.count(*DIFFERENT),
            foreign=found.count(*FOREIGN),
            confirmation=verdict.code,
            examples=found.examples(EXAMPLES),
            error=verdict.error,
            by_kind=by.kind,
            by_id=by.id,
        )
        if row.status == Reconciliation.Status.HELD and (before is None or before.confirmation != row.confirmation):
            _record("kv_namespace.held", row, by)
    return row


def _record(kind: str, row: Reconciliation, by: Actor) -> int:
    return record(
        kind,
        by=by,
        tenant="",
        target_kind="kv_namespace",
        target_id=f"{row.env} {row.store}"[:128],
        after={
            "absent": row.absent,
            "different": row.different,
            "foreign": row.foreign,
            "confirmation": row.confirmation,
            "examples": [each["key"] for each in row.examples[:5]],
        },
    ).id
