"""API keys: list, issue, revoke."""

from __future__ import annotations

from typing import Annotated, Any, cast

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router

from tenants.actions.keys import issue_key, revoke_key
from tenants.api.schemas import (
    IssuedKeyOut,
    KeyIn,
    KeyOut,
    KeyPage,
    KeyQuery,
)
from tenants.errors import InvalidSettingError
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import page_of
from tenants.gates import api_key_for
from tenants.http import TenantRequest
from tenants.key_queries import KeyFilter, find_keys
from tenants.models import ApiKey, Project
from tenants.permissions import Permission

keys = Router(tags=["API keys"])

KeyId = Annotated[str, Path(pattern=r"^[0-9A-Za-z]{12}$", description="The key's id.")]


@operation(keys, "GET", "", Permission.KEYS_VIEW, answers={200: KeyPage}, summary="API keys")
def list_keys(request: HttpRequest, narrowed: Query[KeyQuery]) -> Any:
    """The tenant's keys, the newest first, those that were revoked too."""
    wanted = KeyFilter(status=narrowed.status, env=narrowed.env, project=narrowed.project_id)
    rows = find_keys(cast(TenantRequest, request).tenant, wanted)
    return page_of(rows, narrowed, show_key, newest_by=("created_at", "id"), salt="keys")


@operation(
    keys, "POST", "", Permission.KEYS_ISSUE, answers={201: IssuedKeyOut}, creates=True, summary="Issue an API key"
)
@idempotent
def create_key(request: HttpRequest, payload: KeyIn) -> HttpResponse:
    """The answer shows the key itself, and no other answer ever does."""
    known = cast(TenantRequest, request)
    project = Project.objects.filter(tenant=known.tenant, id=payload.project_id).first()
    if project is None:
        raise InvalidSettingError("There is no project with this id: see /projects.", field="project_id")
    issued = issue_key(
        tenant=known.tenant,
        project=project,
        name=payload.name,
        env=payload.env,
        expires_at=payload.expires_at,
        allowed_models=payload.allowed_models,
        denied_models=payload.denied_models,
        by=known.actor,
    )
    return created(IssuedKeyOut(**show_key(issued.key).model_dump(), key=issued.text))


@operation(keys, "DELETE", "/{key_id}", Permission.KEYS_REVOKE, answers={200: KeyOut}, summary="Revoke an API key")
def revoke_key_by_id(request: HttpRequest, key_id: KeyId) -> KeyOut:
    """The gateway refuses it within a second. Revoking it again changes nothing."""
    known = cast(TenantRequest, request)
    key = api_key_for(known, key_id)
    revoked = revoke_key(key=key, by=known.actor)
    return show_key(revoked)


def show_key(key: ApiKey) -> KeyOut:
    """A key as the API shows it."""
    return KeyOut.model_validate(key)
