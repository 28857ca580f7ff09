"""Leases: of several publishers, one writes into a namespace at a time. And pauses: a store that fails is left alone.

A lease saves work and keeps the order of writes tidy. Correctness does not hang on it: a store refuses older revs.
"""

from __future__ import annotations

import os
import secrets
import socket
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from publishing.backoff import pause_after
from publishing.models import PublisherLease
from wire.kv.base import Standing
from wire.kv.stores import Store

log = structlog.get_logger(__name__)

LIFETIME = timedelta(seconds=4)  # renewed with every batch; a publisher that dies is replaced after this long
OUTBOX = ""  # the lease of the step from outbox rows to desired state


def new_holder() -> str:
    """A name for a publisher's thread that no other one has."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}:{secrets.token_hex(4)}"


def name_of(store: Store) -> str:
    """What the namespace of a store is called here."""
    return f"{store.env} {store.id}"


def acquire(namespace: str, holder: str, *, lifetime: timedelta = LIFETIME) -> bool:
    """Take or renew a lease. False while another holder's lasts."""
    now = timezone.now()
    PublisherLease.objects.get_or_create(namespace=namespace, defaults={"expires_at": now})
    free = Q(holder=holder) | Q(expires_at__lte=now)
    taken = PublisherLease.objects.filter(free, namespace=namespace).update(holder=holder, expires_at=now + lifetime)
    return taken == 1


def release(namespace: str, holder: str) -> None:
    """Give a lease back, so that another publisher need not wait for its end."""
    PublisherLease.objects.filter(namespace=namespace, holder=holder).update(expires_at=timezone.now())


def state_of(namespace: str) -> PublisherLease:
    """Whether a namespace is paused, and since how many failures; nothing is held against one that is new."""
    found = PublisherLease.objects.filter(namespace=namespace).first()
    return found or PublisherLease(namespace=namespace)


def pause(namespace: str, error: str, *, retry_after: float = 0.0) -> None:
    """Leave a namespace alone for a while: as long as its store asked for, else longer with each failure in a row.

    It is logged when it begins and when its reason changes, not each time.
    """
    now = timezone.now()
    lease, _ = PublisherLease.objects.get_or_create(namespace=namespace, defaults={"expires_at": now})
    failures = lease.failures + 1
    until = now + (timedelta(seconds=retry_after) if retry_after > 0 else pause_after(failures))
    PublisherLease.objects.filter(pk=lease.pk).update(failures=failures, paused_until=until, error=error)
    if not lease.failures or lease.error != error:
        log.error("Publishing into a namespace is paused", namespace=namespace, error=error, until=until.isoformat())


def resume(namespace: str) -> None:
    """The store works: nothing is held against it any more."""
    failed = state_of(namespace)
    if failed.failures or failed.error:
        PublisherLease.objects.filter(pk=failed.pk).update(failures=0, paused_until=None, error="")
        log.warning("Publishing into a namespace goes on", namespace=namespace)


def standing_of(namespace: str) -> Standing | None:
    """How a store stood when it was last written into; None when that is not known."""
    found = state_of(namespace)
    return Standing(found.epoch, found.mark) if found.epoch else None


def note_standing(namespace: str, standing: Standing) -> None:
    """Keep how a store stands."""
    stands = {"epoch": standing.epoch, "mark": standing.mark}
    PublisherLease.objects.update_or_create(
        namespace=namespace, defaults=stands, create_defaults={**stands, "expires_at": timezone.now()}
    )


def wait_for_turn(namespace: str) -> None:
    """Hold everybody else who calls this until the open transaction ends."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("A turn lasts as long as a transaction: open one first.")
    PublisherLease.objects.get_or_create(namespace=namespace, defaults={"expires_at": timezone.now()})
    PublisherLease.objects.select_for_update().get(namespace=namespace)
