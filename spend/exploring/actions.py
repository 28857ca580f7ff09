"""All writes of saved views. What is shared with a tenant stands in its audit trail; one's own is one's own matter."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db import IntegrityError, transaction
from django.http import QueryDict

from access.models import User
from changes.actor import Actor
from changes.record import record
from spend.exploring.filters import FilterError, filters_of
from spend.exploring.view import read
from spend.models import DefaultView, SavedView
from tenants.actions.standing import hold_open
from tenants.errors import NameTakenError, QuotaError, RefusedError
from tenants.models import Tenant
from tenants.rules import clean_name

QUERY_LONGEST = 8_000
VIEWS_MOST = 200  # of one person in one tenant


def save_view(*, tenant: Tenant, owner: User, name: str, query: str, shared: bool, by: Actor) -> SavedView:
    """Keep an address under a name that is new among the owner's.

    Raises RefusedError for a name or an address that cannot be kept, StatusError in an archived tenant.
    """
    name, query = _name(name), _query(query)
    with transaction.atomic():
        hold_open(tenant.pk)
        if SavedView.objects.filter(tenant=tenant, owner=owner).count() >= VIEWS_MOST:
            raise QuotaError(f"You have {VIEWS_MOST} views: delete some that you do not need.")
        try:
            with transaction.atomic():
                view: SavedView = SavedView.objects.create(
                    tenant=tenant, owner=owner, name=name, query=query, shared=shared
                )
        except IntegrityError as error:
            raise _taken(name) from error
        if shared:
            _record("saved_view.shared", view, before=None, after=_said(view), by=by)
    return view


def change_view(
    *, view: SavedView, by: Actor, name: str | None = None, query: str | None = None, shared: bool | None = None
) -> SavedView:
    """Change what is given. Raises as `save_view` does."""
    with transaction.atomic():
        hold_open(view.tenant_id)
        view = SavedView.objects.select_for_update().get(pk=view.pk)
        before = _said(view)
        view.name = view.name if name is None else _name(name)
        view.query = view.query if query is None else _query(query)
        view.shared = view.shared if shared is None else shared
        if _said(view) == before:
            return view
        try:
            with transaction.atomic():
                view.save()
        except IntegrityError as error:
            raise _taken(view.name) from error
        if before["shared"] and not view.shared:
            DefaultView.objects.filter(view=view).exclude(user=view.owner_id).delete()
        if before["shared"] or view.shared:
            after = _said(view)
            if before["shared"] == view.shared:
                _record("saved_view.changed", view, before=before, after=after, by=by)
            elif view.shared:
                _record("saved_view.shared", view, before=before, after=after, by=by)
            else:
                _record("saved_view.unshared", view, before=before, after=after, by=by)
    return view


def delete_view(*, view: SavedView, by: Actor) -> None:
    """Forget a view, and that anybody begins with it."""
    with transaction.atomic():
        if view.shared:
            _record("saved_view.deleted", view, before=_said(view), after=None, by=by)
        view.delete()


def begin_with(*, tenant: Tenant, user: User, view: SavedView | None) -> None:
    """Let the Explore page begin with a view for a person; None for the usual."""
    with transaction.atomic():
        DefaultView.objects.filter(tenant=tenant, user=user).delete()
        if view is not None:
            DefaultView.objects.create(tenant=tenant, user=user, view=view)


def _name(name: str) -> str:
    return clean_name(name, what="view")


def _query(query: str) -> str:
    """The address as the page itself would write it."""
    if len(query) > QUERY_LONGEST:
        raise RefusedError("This view has too many filters to be kept: take some away.", field="query")
    given = QueryDict(query)
    try:
        filters_of(given)
    except FilterError as error:
        raise RefusedError(str(error), field="query") from error
    view, problems = read(given, lambda zone: date.max)  # days that are to come may be kept
    if problems:
        raise RefusedError(f"{problems[0].name}: {problems[0].message}", field="query")
    return view.query()


def _taken(name: str) -> NameTakenError:
    return NameTakenError(f"You have a view called “{name}”: choose another name, or change that one.", field="name")


def _said(view: SavedView) -> dict[str, Any]:
    return {"name": view.name, "query": view.query, "shared": view.shared}


def _record(
    kind: str, view: SavedView, *, before: dict[str, Any] | None, after: dict[str, Any] | None, by: Actor
) -> None:
    record(kind, by=by, tenant=view.tenant_id, target_kind="saved_view", target_id=view.pk, before=before, after=after)
