"""The life of API keys: issued, disabled and enabled again, rotated, revoked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import Publish, Topic, record
from tenants.actions.quotas import give_back, take_key
from tenants.actions.standing import hold_open
from tenants.errors import AlreadyIssuedError, InvalidSettingError, StatusError
from tenants.models import ApiKey, Project, Tenant
from tenants.queries import users_in
from tenants.rules import clean_environment, clean_expiry, clean_grace, clean_name, clean_patterns
from tenants.scope import tenant_scope
from wire.keys import key_hash, new_key

# A revoked key's document stays for a day, so that the gateway can say why it refuses, and is deleted then.
KEEP_REVOKED = timedelta(days=1)


@dataclass(frozen=True)
class IssuedKey:
    """A key just issued. `text` is the key itself: show it once, store it nowhere."""

    key: ApiKey
    text: str = field(repr=False)


def issue_key(
    *,
    tenant: Tenant,
    project: Project,
    name: str,
    env: str,
    expires_at: datetime | None = None,
    allowed_models: Iterable[str] = (),
    denied_models: Iterable[str] = (),
    owner: str = "",
    token: str = "",
    by: Actor,
) -> IssuedKey:
    """Issue a key of a project for one environment. Raises RefusedError.

    `owner` is the id of the member whose key it is: a developer sees the usage of own keys.

    A `token` that the caller makes up marks the intention: the same one again raises AlreadyIssuedError, so that a
    form sent twice makes one key.
    """
    if project.tenant_id != tenant.id:
        raise InvalidSettingError(
            "This project belongs to another tenant: choose one of this tenant's.", field="project"
        )
    if owner and owner not in {member.pk for member in users_in(tenant)}:
        raise InvalidSettingError("The owner is no member of this tenant: choose one of its members.", field="owner")
    env = clean_environment(env, known=settings.SPENDOPS.environments)
    made = new_key(env)
    key = ApiKey(
        id=made.public_id,
        tenant=tenant,
        project=project,
        name=clean_name(name, what="key"),
        env=env,
        hash=key_hash(made.text, settings.SPENDOPS.pepper),
        pepper_version=settings.SPENDOPS.pepper_version,
        last_four=made.last_four,
        expires_at=clean_expiry(expires_at, now=timezone.now()),
        allowed_models=clean_patterns(allowed_models, field="allowed_models"),
        denied_models=clean_patterns(denied_models, field="denied_models"),
        created_by=by.id,
        owner_id=owner,
        issue_token=token or None,
    )
    with transaction.atomic(), tenant_scope(tenant.id):
        _insert(key)
        take_key(tenant.id, project.id)
        _record("api_key.issued", key, by=by, after=_described(key))
    return IssuedKey(key, made.text)


def _insert(key: ApiKey) -> None:
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError as error:
        with tenant_scope(key.tenant_id):
            made = ApiKey.objects.filter(issue_token=key.issue_token).first() if key.issue_token else None
        if made is None:
            raise
        raise AlreadyIssuedError(
            f"“{made.name}” was issued already, and a key is shown only once. If it was not copied, revoke it and "
            "issue another one.",
            key_id=made.id,
        ) from error


def rotate_key(*, key: ApiKey, grace: timedelta, by: Actor) -> IssuedKey:
    """A new key that may do what the old one may. The old one works for `grace` more, not after. Raises RefusedError.

    The old key's own expiry stays if it is earlier; the new key takes it over. Rotating a key again raises
    AlreadyIssuedError with the id of the key that it was rotated into.
    """
    grace = clean_grace(grace)
    now = timezone.now()
    with transaction.atomic(), tenant_scope(key.tenant_id):
        old = ApiKey.objects.select_for_update().get(pk=key.pk)
        _refuse_rotation(old)
        made = new_key(old.env)
        new = ApiKey(
            id=made.public_id,
            tenant_id=old.tenant_id,
            project_id=old.project_id,
            hash=key_hash(made.text, settings.SPENDOPS.pepper),
            pepper_version=settings.SPENDOPS.pepper_version,
            last_four=made.last_four,
            created_by=by.id,
            **{name: getattr(old, name) for name in _TAKEN_OVER},
        )
        new.save(force_insert=True)
        take_key(old.tenant_id, old.project_id)
        before = _ending(old)
        old.replaced_by = new.id
        old.expires_at = min(old.expires_at or now + grace, now + grace)
        old.save(update_fields=["replaced_by", "expires_at"])
        _record("api_key.issued", new, by=by, after=_described(new) | {"replaces": old.id})
        _record("api_key.rotated", old, by=by, before=before, after=_ending(old))
    return IssuedKey(new, made.text)


_TAKEN_OVER = (
    "name",
    "env",
    "expires_at",
    "allowed_models",
    "denied_models",
    "allowed_providers",
    "denied_providers",
    "owner_id",
)


def _refuse_rotation(key: ApiKey) -> None:
    if key.replaced_by:
        raise AlreadyIssuedError(
            f"“{key.name}” was rotated already, and a key is shown only once. If the new one was not copied, rotate "
            "that one.",
            key_id=key.replaced_by,
        )
    if key.status != ApiKey.Status.ACTIVE or key.expired:
        state = "expired" if key.status == ApiKey.Status.ACTIVE else key.status
        raise StatusError(f"The key “{key.name}” is {state}: only one that works can be rotated. Issue a new key.")


def _ending(key: ApiKey) -> dict[str, Any]:
    return {"expires_at": key.expires_at.isoformat() if key.expires_at else None, "replaced_by": key.replaced_by}


def disable_key(*, key: ApiKey, by: Actor) -> ApiKey:
    """Let a key rest: calls with it are refused until it is enabled again. Raises StatusError for a revoked one."""
    return _set_status(key, ApiKey.Status.DISABLED, kind="api_key.disabled", by=by)


def enable_key(*, key: ApiKey, by: Actor) -> ApiKey:
    """Let a disabled key work again. Raises StatusError for a revoked one."""
    return _set_status(key, ApiKey.Status.ACTIVE, kind="api_key.enabled", by=by)


def revoke_key(*, key: ApiKey, by: Actor) -> ApiKey:
    """End a key for ever. Revoking it again changes nothing."""
    with transaction.atomic(), tenant_scope(key.tenant_id):
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
        if key.status == ApiKey.Status.REVOKED:
            return key
        before = key.status
        key.status = ApiKey.Status.REVOKED
        key.revoked_at = timezone.now()
        key.save(update_fields=["status", "revoked_at"])
        give_back(key.tenant_id, key.project_id)
        _record(
            "api_key.revoked",
            key,
            by=by,
            before={"status": before},
            after={"status": key.status},
            publish=[Publish(Topic.KEY, key.id, due=key.revoked_at + KEEP_REVOKED)],
        )
    return key


def _set_status(key: ApiKey, status: ApiKey.Status, *, kind: str, by: Actor) -> ApiKey:
    with transaction.atomic(), tenant_scope(key.tenant_id):
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
        before = key.status
        if before == ApiKey.Status.REVOKED:
            raise StatusError(f"The key “{key.name}” is revoked for ever: issue a new one.")
        if before == status:
            return key
        if status == ApiKey.Status.ACTIVE:  # taking access away is always possible
            hold_open(key.tenant_id)
        key.status = status
        key.save(update_fields=["status"])
        _record(kind, key, by=by, before={"status": before}, after={"status": status})
    return key


def _described(key: ApiKey) -> dict[str, Any]:
    """What the audit trail keeps of a key: nothing that could be used to call with it."""
    return {
        "name": key.name,
        "project": key.project_id,
        "env": key.env,
        "last_four": key.last_four,
        "owner": key.owner_id,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "allowed_models": key.allowed_models,
        "denied_models": key.denied_models,
    }


def _record(
    kind: str,
    key: ApiKey,
    *,
    by: Actor,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any],
    publish: Iterable[Publish] = (),
) -> None:
    record(
        kind,
        by=by,
        tenant=key.tenant_id,
        target_kind="api_key",
        target_id=key.id,
        before=before,
        after=after,
        publish=[Publish(Topic.KEY, key.id), *publish],
    )
