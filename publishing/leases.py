"""Leases: of several publishers, one writes into a namespace at a time.

A lease saves work and keeps the order of writes tidy. Correctness does not hang on it: a store refuses older revs.
"""

from __future__ import annotations

import os
import secrets
import socket
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from publishing.models import PublisherLease

LIFETIME = timedelta(seconds=4)  # renewed with every batch; a publisher that dies is replaced after this long
OUTBOX = ""  # the lease of the step from outbox rows to desired state


def new_holder() -> str:
    """A name for this publisher that no other one has."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}:{secrets.token_hex(4)}"


def acquire(namespace: str, holder: str) -> bool:
    """Take or renew a lease. False while another holder's lasts."""
    now = timezone.now()
    PublisherLease.objects.get_or_create(namespace=namespace, defaults={"expires_at": now})
    free = Q(holder=holder) | Q(expires_at__lte=now)
    taken = PublisherLease.objects.filter(free, namespace=namespace).update(holder=holder, expires_at=now + LIFETIME)
    return taken == 1


def release(namespace: str, holder: str) -> None:
    """Give a lease back, so that another publisher need not wait for its end."""
    PublisherLease.objects.filter(namespace=namespace, holder=holder).update(expires_at=timezone.now())


def note(namespace: str, error: str) -> None:
    """Keep why a namespace cannot be written into at all; "" when it can."""
    now = timezone.now()
    lease, _ = PublisherLease.objects.get_or_create(namespace=namespace, defaults={"expires_at": now})
    if lease.error != error:
        PublisherLease.objects.filter(pk=lease.pk).update(error=error)


def wait_for_turn(namespace: str) -> None:
    """Hold everybody else who calls this until the open transaction ends."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("A turn lasts as long as a transaction: open one first.")
    PublisherLease.objects.get_or_create(namespace=namespace, defaults={"expires_at": timezone.now()})
    PublisherLease.objects.select_for_update().get(namespace=namespace)
