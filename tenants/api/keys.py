"""API keys: list, issue, look at one, change it, rotate it, let it rest, revoke it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, cast

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router

from tenants.actions.key_batches import begin_batch, work_off
from tenants.actions.key_changes import change_key
from tenants.actions.keys import IssuedKey, disable_key, enable_key, issue_key, revoke_key, rotate_key
from tenants.api.key_schemas import (
    BatchOut,
    IssuedKeyOut,
    KeyChange,
    KeyIn,
    KeyOut,
    KeyPage,
    KeyQuery,
    KeysIn,
    RotateIn,
)
from tenants.errors import InvalidSettingError, RefusedError
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import page_of
from tenants.gates import api_key_for
from tenants.http import TenantRequest
from tenants.key_queries import KeyFilter, find_keys
from tenants.models import ApiKey, KeyBatch, Project
from tenants.permissions import Permission
from tenants.policy import settings_of

keys = Router(tags=["API keys"])

KeyId = Annotated[str, Path(pattern=r"^[0-9A-Za-z]{12}$", description="The key's id.")]
_CALLED = {"project_id": "project", "owner_id": "owner"}  # what the settings of a key call it
_MAY_BE_NULL = {"not_before", "expires_at"}


@operation(keys, "GET", "", Permission.KEYS_VIEW, answers={200: KeyPage}, summary="API keys")
def list_keys(request: HttpRequest, narrowed: Query[KeyQuery]) -> Any:
    """The tenant's keys, the newest first, those that were revoked too."""
    wanted = KeyFilter(
        text=narrowed.q,
        status=narrowed.status,
        env=narrowed.env,
        project=narrowed.project_id,
        owner=narrowed.owner_id,
        tier=narrowed.tier,
    )
    rows = find_keys(cast(TenantRequest, request).tenant, wanted)
    return page_of(rows, narrowed, show_key, newest_by=("created_at", "id"), salt="keys")


@operation(
    keys, "POST", "", Permission.KEYS_ISSUE, answers={201: IssuedKeyOut}, creates=True, summary="Issue an API key"
)
@idempotent
def create_key(request: HttpRequest, payload: KeyIn) -> HttpResponse:
    """The answer shows the key itself, and no other answer ever does."""
    known = cast(TenantRequest, request)
    given = payload.dict()
    project = _project(known, given.pop("project_id"))
    owner = given.pop("owner_id")
    with _fields_called_as_here():
        return _issued(issue_key(tenant=known.tenant, project=project, owner=owner, by=known.actor, **given))


@operation(
    keys,
    "POST",
    "/revoke",
    Permission.KEYS_REVOKE,
    answers={200: BatchOut},
    summary="Revoke several API keys",
)
def revoke_keys(request: HttpRequest, payload: KeysIn) -> BatchOut:
    """The gateway refuses them within a second. Those that are revoked already are counted as such; an id that names
    no key of the tenant is one that is not there any more.
    """
    known = cast(TenantRequest, request)
    action = KeyBatch.Action.REVOKE
    return BatchOut.model_validate(
        work_off(begin_batch(tenant_id=known.tenant.id, action=action, keys=payload.ids, by=known.actor))
    )


@operation(keys, "GET", "/{key_id}", Permission.KEYS_VIEW, answers={200: KeyOut}, summary="One API key")
def get_key(request: HttpRequest, key_id: KeyId) -> KeyOut:
    return show_key(api_key_for(cast(TenantRequest, request), key_id))


@operation(
    keys,
    "PATCH",
    "/{key_id}",
    Permission.KEYS_CHANGE,
    answers={200: KeyOut},
    conflicts=True,
    summary="Change an API key",
)
def change_key_by_id(request: HttpRequest, key_id: KeyId, payload: KeyChange) -> KeyOut:
    """What is left out stays. With `version`, a change that somebody made meanwhile is not overwritten. The gateway
    knows within a second.
    """
    known = cast(TenantRequest, request)
    key = api_key_for(known, key_id)
    given = payload.dict(exclude_unset=True)
    version = given.pop("version", None)
    wanted = {
        _CALLED.get(name, name): value for name, value in given.items() if value is not None or name in _MAY_BE_NULL
    }
    if "project" in wanted:
        _project(known, wanted["project"])
    with _fields_called_as_here():
        changed = change_key(key=key, settings=replace(settings_of(key), **wanted), version=version, by=known.actor)
    return show_key(changed)


@operation(
    keys,
    "POST",
    "/{key_id}/rotate",
    Permission.KEYS_ISSUE,
    answers={201: IssuedKeyOut},
    creates=True,
    summary="Rotate an API key",
)
@idempotent
def rotate_key_by_id(request: HttpRequest, key_id: KeyId, payload: RotateIn) -> HttpResponse:
    """A new key that may do the same. The answer shows it; the old one works for `grace_hours` more."""
    known = cast(TenantRequest, request)
    grace = timedelta(hours=payload.grace_hours)
    return _issued(rotate_key(key=api_key_for(known, key_id), grace=grace, by=known.actor))


@operation(
    keys,
    "POST",
    "/{key_id}/disable",
    Permission.KEYS_REVOKE,
    answers={200: KeyOut},
    conflicts=True,
    summary="Disable an API key",
)
def disable_key_by_id(request: HttpRequest, key_id: KeyId) -> KeyOut:
    """Calls with it are refused until it is enabled again. Disabling it again changes nothing."""
    known = cast(TenantRequest, request)
    return show_key(disable_key(key=api_key_for(known, key_id), by=known.actor))


@operation(
    keys,
    "POST",
    "/{key_id}/enable",
    Permission.KEYS_REVOKE,
    answers={200: KeyOut},
    conflicts=True,
    summary="Enable an API key",
)
def enable_key_by_id(request: HttpRequest, key_id: KeyId) -> KeyOut:
    """A disabled key works again. Enabling it again changes nothing."""
    known = cast(TenantRequest, request)
    return show_key(enable_key(key=api_key_for(known, key_id), by=known.actor))


@operation(keys, "DELETE", "/{key_id}", Permission.KEYS_REVOKE, answers={200: KeyOut}, summary="Revoke an API key")
def revoke_key_by_id(request: HttpRequest, key_id: KeyId) -> KeyOut:
    """The gateway refuses it within a second. Revoking it again changes nothing."""
    known = cast(TenantRequest, request)
    return show_key(revoke_key(key=api_key_for(known, key_id), by=known.actor))


def show_key(key: ApiKey) -> KeyOut:
    """A key as the API shows it."""
    return KeyOut.model_validate(key)


def _issued(issued: IssuedKey) -> HttpResponse:
    return created(IssuedKeyOut(**show_key(issued.key).model_dump(), key=issued.text))


@contextmanager
def _fields_called_as_here() -> Iterator[None]:
    """A refusal names the field as the API calls it."""
    try:
        yield
    except RefusedError as error:
        error.field = next((ours for ours, theirs in _CALLED.items() if theirs == error.field), error.field)
        raise


def _project(request: TenantRequest, project_id: str) -> Project:
    project = Project.objects.filter(tenant=request.tenant, id=project_id).first()
    if project is None:
        raise InvalidSettingError("There is no project with this id: see /projects.", field="project_id")
    return project
