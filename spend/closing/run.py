"""Working a seal off: until nobody who did not know of it stores any more, then counting, then the statement.

Each step can be repeated, by anybody: the month does not change any more once the seal stands. What is stored of it
while the seal is made is stored by whoever did not know, and waited for.
"""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from spend.clickhouse.errors import ClickHouseError
from spend.closing.booking import closed_months, forget_the_dead, undecided
from spend.closing.months import rate_of, uncounted
from spend.closing.pdf import rendered
from spend.closing.statement import Span, checksum, figures, frame, names_of, now_utc, written
from spend.cost_centres.dimension import book_of
from spend.models import MonthSeal, Statement
from spend.periods import each_day, month_end
from spend.rollup import mark_moments
from spend.zones import calendar, moment_of
from tenants.errors import RefusedError
from tenants.models import Tenant
from tenants.scope import across_tenants, tenant_scope
from wire.display import moment_utc

logger = structlog.get_logger(__name__)

LEASE = timedelta(seconds=90)
_BY = Actor.system("spend.closing")


def seal_all() -> int:
    """Go on with every month that is being sealed; how many are sealed now that were not."""
    with across_tenants("months of all tenants are sealed by one job"):
        waiting = list(MonthSeal.objects.filter(state=MonthSeal.State.SEALING).values_list("pk", "tenant_id"))
    forget_the_dead()
    done = 0
    for seal_id, tenant_id in waiting:
        with tenant_scope(tenant_id):
            done += go_on(seal_id)
    return done


def go_on(seal_id: int) -> bool:
    """Seal a month as far as it goes now; whether it is sealed by this. In the tenant's scope. Harmless to repeat."""
    seal = _claim(seal_id)
    if seal is None:
        return False
    try:
        waits_for = _what_is_missing(seal)
        if not waits_for:
            return _state(seal)
    except (ClickHouseError, RefusedError) as error:
        logger.warning("sealing waits", tenant=seal.tenant_id, month=str(seal.month), why=str(error))
        waits_for = str(error)
    _held(seal).update(waits_for=waits_for[:300], claimed_until=None)
    return False


def _claim(seal_id: int) -> MonthSeal | None:
    now, claim = timezone.now(), secrets.token_hex(8)
    free = MonthSeal.objects.filter(Q(claimed_until=None) | Q(claimed_until__lte=now), pk=seal_id)
    if not free.filter(state=MonthSeal.State.SEALING).update(claim=claim, claimed_until=now + LEASE):
        return None
    return MonthSeal.objects.filter(pk=seal_id, claim=claim).first()


def _held(seal: MonthSeal) -> Any:
    return MonthSeal.objects.filter(pk=seal.pk, claim=seal.claim, state=MonthSeal.State.SEALING)


def _what_is_missing(seal: MonthSeal) -> str:
    """What has to happen before the statement, "" when nothing has. The days are marked once, to be counted anew."""
    if not seal.marked:
        if undecided(closed_months()[1]).exists():
            return "Events that were on their way when it began are still being stored."
        days = calendar(seal.zone)
        moments = [(seal.tenant_id, days.bounds(day)[0]) for day in each_day(seal.month, month_end(seal.month))]
        mark_moments(moments, since_ms=time.time_ns() // 1_000_000)
        _held(seal).update(marked=True)
        seal.marked = True
    if uncounted(seal.tenant_id, seal.month):
        return "Its days are being counted once more."
    return ""


def _state(seal: MonthSeal) -> bool:
    """Make the statement, and store it with the seal. False when somebody else did."""
    tenant = Tenant.objects.get(pk=seal.tenant_id)
    span = Span(seal.month, seal.zone, seal.begin_ms, seal.end_ms)
    rate, book, now = rate_of(seal.currency, seal.month), book_of(tenant.id), now_utc()
    document = frame(
        tenant_id=tenant.id,
        tenant=tenant.name,
        span=span,
        currency=seal.currency,
        rate=rate,
        complete_until=moment_of(seal.complete_ms),
        book=book,
    ) | figures(tenant.id, span, book=book, rate=rate, names=names_of(tenant.id))
    number = f"{seal.month:%Y-%m}-{Statement.objects.filter(tenant=tenant).count() + 1:04d}"
    document |= {"final": True, "number": number, "sealed_at": moment_utc(now), "sealed_by": seal.created_by}
    body = written(document)
    digest = checksum(body)
    pdf = rendered(document, digest)
    with transaction.atomic():
        sealed = MonthSeal.State.SEALED
        if not _held(seal).update(state=sealed, waits_for="", claimed_until=None, sealed_at=now):
            return False
        Statement.objects.create(
            tenant=tenant,
            seal=seal,
            month=seal.month,
            number=number,
            body=body,
            sha256=digest,
            pdf=pdf,
            pdf_sha256=checksum(pdf),
            made_at=now,
        )
        record(
            "month.sealed",
            by=_BY,
            tenant=tenant.id,
            target_kind="month",
            target_id=f"{seal.month:%Y-%m}",
            after={
                "number": number,
                "sha256": digest,
                "charge": document["totals"]["total"]["charge_usd"],
                "complete_at": moment_utc(moment_of(seal.complete_ms)),
            },
        )
    logger.info("a month was sealed", tenant=tenant.id, month=f"{seal.month:%Y-%m}", sha256=digest)
    return True
