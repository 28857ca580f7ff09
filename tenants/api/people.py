"""Who calls, who belongs to the tenant, and one's own sessions."""

from __future__ import annotations

from typing import Annotated, Any, cast

from django.http import Http404, HttpRequest
from ninja import Path, Query, Router, Status

from access import actions, queries
from access.models import Session, User
from access.rules import token_hash
from tenants.api.schemas import Me, MemberOut, MemberPage, SessionOut, SessionPage, TenantOut
from tenants.frame.callers import token_behind
from tenants.frame.operations import operation
from tenants.frame.paging import Paging, page_of
from tenants.http import TenantRequest
from tenants.models import Membership, Tenant
from tenants.permissions import Permission

users = Router(tags=["Users"])
sessions = Router(tags=["Sessions"])

SessionId = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="The session's id.")]


@operation(users, "GET", "/me", answers={200: Me}, summary="Who calls")
def get_me(request: HttpRequest) -> Me:
    known = cast(TenantRequest, request)
    token = token_behind(request)
    named: Any = token or known.user
    return Me(
        kind="service_token" if token else "user",
        id=named.pk,
        name=named.name,
        email=None if token else known.user.email,
        tenant=_tenant(known.tenant) if known.tenant else None,
        permissions=sorted(known.permissions),
    )


def _tenant(tenant: Tenant) -> TenantOut:
    return TenantOut(id=tenant.id, name=tenant.name, currency=tenant.currency, time_zone=tenant.time_zone)


@operation(users, "GET", "", Permission.MEMBERS_VIEW, answers={200: MemberPage}, summary="Members of the tenant")
def list_users(request: HttpRequest, paging: Query[Paging]) -> Any:
    """People with a role in the tenant, whoever came last first."""
    tenant = cast(TenantRequest, request).tenant
    rows = Membership.objects.filter(tenant=tenant).select_related("user")
    return page_of(rows, paging, _member, newest_by=("created_at", "id"), salt="users")


def _member(row: Membership) -> MemberOut:
    user = row.user
    return MemberOut(
        user=user.pk, name=user.name, email=user.email, role=row.role, active=user.is_active, since=row.created_at
    )


@operation(sessions, "GET", "", answers={200: SessionPage}, people_only=True, summary="Your sessions")
def list_sessions(request: HttpRequest, paging: Query[Paging]) -> Any:
    """Browsers in which you are signed in, the one where you signed in last first."""
    current = token_hash(request.session.session_key or "")
    living = [each.pk for each in queries.sessions_of(cast(User, request.user))]
    rows = Session.objects.filter(pk__in=living).exclude(created_at=None)
    return page_of(
        rows,
        paging,
        lambda row: _session(row, current),
        newest_by=("created_at", "session_key"),
        salt="sessions",
    )


def _session(row: Session, current: str) -> SessionOut:
    return SessionOut(
        id=row.session_key,
        browser=row.browser,
        address=row.address,
        signed_in_at=row.created_at,
        seen_at=row.seen_at,
        current=row.session_key == current,
    )


@operation(
    sessions, "DELETE", "/{session_id}", answers={204: None}, people_only=True, summary="End one of your sessions"
)
def end_session(request: HttpRequest, session_id: SessionId) -> Status[None]:
    by = cast(TenantRequest, request).actor
    if not actions.end_session(user=cast(User, request.user), kept_key=session_id, by=by):
        raise Http404
    if session_id == token_hash(request.session.session_key or ""):
        request.session.modified = False  # it is gone, and is not to be saved again
    return Status(204, None)
