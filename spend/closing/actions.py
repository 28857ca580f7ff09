"""Sealing a month: the decision. The work itself is in `spend.closing.run`."""

from __future__ import annotations

from datetime import date

from django.db import transaction

from changes.actor import Actor
from changes.record import record
from spend.closing.drafts import Totals, draft
from spend.closing.months import refuse_unsealable
from spend.closing.statement import Span
from spend.models import MonthSeal
from spend.zones import ms_of
from tenants.errors import StatusError
from tenants.models import Tenant
from wire.money import usd_string


def seal_month(*, tenant: Tenant, month: date, confirmed: str, by: Actor) -> MonthSeal:
    """Begin to seal a month, for ever: from now on none of its events is written, nor any added to it.

    `confirmed` are the `Totals` that the person saw, as text. Raises RefusedError with what to wait for or to do,
    UnavailableError while ClickHouse is away.
    """
    with transaction.atomic():
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)  # its zone stays what it is
        complete = refuse_unsealable(tenant, month)
        totals = Totals.of(draft(tenant, month))
        if confirmed != str(totals):
            raise StatusError("The month's figures are others than those that you confirmed. Nothing was sealed.")
        span = Span.of(month, tenant.time_zone)
        seal = MonthSeal.objects.create(
            tenant=tenant,
            month=month,
            zone=span.zone,
            begin_ms=span.begin_ms,
            end_ms=span.end_ms,
            currency=tenant.currency,
            complete_ms=ms_of(complete),
            created_by=by.id,
        )
        record(
            "month.sealing_begun",
            by=by,
            tenant=tenant.id,
            target_kind="month",
            target_id=f"{month:%Y-%m}",
            after={
                "charge": usd_string(totals.charge),
                "requests": totals.requests,
                "unpriced": totals.unpriced_requests,
                "time_zone": span.zone,
            },
        )
    return seal
