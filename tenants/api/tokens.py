"""Service tokens: list, issue, revoke."""

from __future__ import annotations

from typing import Annotated, Any, cast

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router

from tenants.actions.tokens import issue_token, revoke_token
from tenants.api.schemas import IssuedTokenOut, TokenIn, TokenOut, TokenPage
from tenants.frame.callers import token_behind
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import Paging, page_of
from tenants.gates import service_token_for
from tenants.http import TenantRequest
from tenants.models import ServiceToken
from tenants.permissions import Permission
from tenants.queries import service_tokens_of

tokens = Router(tags=["Service tokens"])

TokenId = Annotated[str, Path(pattern=r"^[0-9A-Za-z]{12}$", description="The token's id.")]


@operation(tokens, "GET", "", Permission.TOKENS_MANAGE, answers={200: TokenPage}, summary="Service tokens")
def list_tokens(request: HttpRequest, paging: Query[Paging]) -> Any:
    """The tenant's tokens, the newest first, those that ended too."""
    rows = service_tokens_of(cast(TenantRequest, request).tenant)
    return page_of(rows, paging, show_token, newest_by=("created_at", "id"), salt="tokens")


@operation(
    tokens,
    "POST",
    "",
    Permission.TOKENS_MANAGE,
    answers={201: IssuedTokenOut},
    creates=True,
    summary="Issue a service token",
)
@idempotent
def create_token(request: HttpRequest, payload: TokenIn) -> HttpResponse:
    """A token's scopes are at most those of its issuer. One that a token issues can do nothing dangerous and ends
    no later than its issuer.
    """
    known = cast(TenantRequest, request)
    issuer = token_behind(request)
    issued = issue_token(
        tenant=known.tenant,
        name=payload.name,
        scopes=payload.scopes,
        expires_at=payload.expires_at,
        grantable=known.permissions,
        confirmed=issuer is None,  # a person got here with a fresh passkey only
        latest=issuer.expires_at if issuer else None,
        by=known.actor,
    )
    return created(IssuedTokenOut(**show_token(issued.token).model_dump(), token=issued.text))


@operation(
    tokens,
    "DELETE",
    "/{token_id}",
    Permission.TOKENS_MANAGE,
    answers={200: TokenOut},
    summary="Revoke a service token",
)
def revoke_token_by_id(request: HttpRequest, token_id: TokenId) -> TokenOut:
    """It ends at once and for ever, and stays in the list. Revoking it again changes nothing."""
    known = cast(TenantRequest, request)
    return show_token(revoke_token(token=service_token_for(known, token_id), by=known.actor))


def show_token(token: ServiceToken) -> TokenOut:
    """A token as the API shows it."""
    return TokenOut.model_validate(token)
