"""Changing cost centres and their rules, as a whole."""

from __future__ import annotations

from django.db import transaction

from changes.actor import Actor
from changes.record import record
from spend.cost_centres.rules import Book, cleaned
from spend.models import CostCentreBook
from tenants.actions.standing import hold_open
from tenants.errors import StaleError
from tenants.models import Tenant


def change_cost_centres(*, tenant: Tenant, book: Book, version: int, by: Actor) -> CostCentreBook:
    """Let these cost centres and rules hold from now on, for past usage too, but for what sealed statements say.

    `version` is the one that the person saw, 0 for none. Raises StaleError when it is no longer that, and
    InvalidSettingError. Changing nothing records nothing.
    """
    wanted = cleaned(book).stored()
    with transaction.atomic():
        tenant = hold_open(tenant.id)
        row = CostCentreBook.objects.filter(pk=tenant.id).first() or CostCentreBook(tenant=tenant, version=0)
        if row.version != version:
            raise StaleError(
                "Somebody else changed the cost centres meanwhile. Nothing was changed: look at them anew."
            )
        before = Book.of(row.book).stored()
        if wanted == before:
            return row
        row.book, row.version = wanted, row.version + 1
        row.save()
        record(
            "cost_centres.changed",
            by=by,
            tenant=tenant.id,
            target_kind="cost_centres",
            target_id=tenant.id,
            before=before | {"version": version},
            after=wanted | {"version": row.version},
        )
    return row
