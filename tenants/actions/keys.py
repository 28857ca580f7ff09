"""The life of API keys: issued, disabled and enabled again, rotated, revoked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import Publish, Topic, record
from tenants.actions.quotas import give_back, take_key
from tenants.actions.standing import hold_open
from tenants.errors import AlreadyIssuedError, InvalidSettingError, StatusError
from tenants.models import ApiKey, Membership, Project, Tenant
from tenants.policy import KeySettings, settings_of
from tenants.rules import clean_environment, clean_grace
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
    *, tenant: Tenant, project: Project, name: str, env: str, token: str = "", by: Actor, **policy: Any
) -> IssuedKey:
    """Issue a key of a project for one environment. `policy`: further fields of KeySettings. Raises RefusedError.

    A `token` that the caller makes up marks the intention: the same one again raises AlreadyIssuedError, so that a
    form sent twice makes one key.
    """
    if project.tenant_id != tenant.id:
        raise InvalidSettingError(
            "This project belongs to another tenant: choose one of this tenant's.", field="project"
        )
    env = clean_environment(env, known=settings.SPENDOPS.environments)
    wanted = KeySettings(name=name, project=project.id, **policy).clean(now=timezone.now())
    refuse_stranger(wanted.owner, tenant_id=tenant.id)
    made = new_key(env)
    key = ApiKey(
        id=made.public_id,
        tenant=tenant,
        env=env,
        hash=key_hash(made.text, settings.SPENDOPS.pepper),
        pepper_version=settings.SPENDOPS.pepper_version,
        last_four=made.last_four,
        created_by=by.id,
        issue_token=token or None,
        **wanted.columns(),
    )
    key.project = project
    with transaction.atomic(), tenant_scope(tenant.id):
        _insert(key)
        take_key(tenant.id, project.id)
        record_key("api_key.issued", key, by=by, after=described(key))
    return IssuedKey(key, made.text)


def refuse_stranger(owner: str, *, tenant_id: str) -> None:
    """Raise RefusedError unless a key's owner is an active member of the tenant, or nobody."""
    if owner and not Membership.objects.filter(tenant=tenant_id, user=owner, user__is_active=True).exists():
        raise InvalidSettingError("The owner is no member of this tenant: choose one of its members.", field="owner")


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
            env=old.env,
            hash=key_hash(made.text, settings.SPENDOPS.pepper),
            pepper_version=settings.SPENDOPS.pepper_version,
            last_four=made.last_four,
            created_by=by.id,
            **settings_of(old).columns(),
        )
        new.save(force_insert=True)
        take_key(old.tenant_id, old.project_id)
        before = _ending(old)
        old.replaced_by = new.id
        old.expires_at = min(old.expires_at or now + grace, now + grace)
        old.version += 1
        old.save(update_fields=["replaced_by", "expires_at", "version"])
        record_key("api_key.issued", new, by=by, after=described(new) | {"replaces": old.id})
        record_key("api_key.rotated", old, by=by, before=before, after=_ending(old), urgent=True)
    return IssuedKey(new, made.text)


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
    return _set_status(key, ApiKey.Status.DISABLED, by=by)


def enable_key(*, key: ApiKey, by: Actor) -> ApiKey:
    """Let a disabled key work again. Raises StatusError for a revoked one."""
    return _set_status(key, ApiKey.Status.ACTIVE, by=by)


def revoke_key(*, key: ApiKey, by: Actor) -> ApiKey:
    """End a key for ever. Revoking it again changes nothing."""
    with transaction.atomic(), tenant_scope(key.tenant_id):
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
        if key.status != ApiKey.Status.REVOKED:
            give_back(key.tenant_id, key.project_id)
            set_revoked(key, by=by)
    return key


def set_revoked(key: ApiKey, *, by: Actor) -> None:
    """Revoke a locked key that is not revoked, once it is counted as gone."""
    before = key.status
    key.status = ApiKey.Status.REVOKED
    key.revoked_at = timezone.now()
    key.version += 1
    key.save(update_fields=["status", "revoked_at", "version"])
    record_key(
        "api_key.revoked",
        key,
        by=by,
        before={"status": before},
        after={"status": key.status},
        urgent=True,
        publish=[Publish(Topic.KEY, key.id, due=key.revoked_at + KEEP_REVOKED)],
    )


def _set_status(key: ApiKey, status: ApiKey.Status, *, by: Actor) -> ApiKey:
    with transaction.atomic(), tenant_scope(key.tenant_id):
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
        if key.status == ApiKey.Status.REVOKED:
            raise StatusError(f"The key “{key.name}” is revoked for ever: issue a new one.")
        if key.status == status:
            return key
        if status == ApiKey.Status.ACTIVE:  # taking access away is always possible
            hold_open(key.tenant_id)
        set_resting(key, resting=status == ApiKey.Status.DISABLED, by=by)
    return key


def set_resting(key: ApiKey, *, resting: bool, by: Actor) -> None:
    """Disable a locked key that works, or enable one that rests."""
    before = key.status
    key.status = ApiKey.Status.DISABLED if resting else ApiKey.Status.ACTIVE
    key.version += 1
    key.save(update_fields=["status", "version"])
    record_key(
        "api_key.disabled" if resting else "api_key.enabled",
        key,
        by=by,
        before={"status": before},
        after={"status": key.status},
        urgent=resting,
    )


def described(key: ApiKey) -> dict[str, Any]:
    """What the audit trail keeps of a new key: what it was given, and nothing that could be used to call with it."""
    given = {name: value for name, value in settings_of(key).described().items() if value or name in _ALWAYS_TOLD}
    return given | {"env": key.env, "last_four": key.last_four}


_ALWAYS_TOLD = {"expires_at", "allowed_models", "denied_models"}


def record_key(
    kind: str,
    key: ApiKey,
    *,
    by: Actor,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any],
    urgent: bool = False,
    publish: Iterable[Publish] = (),
) -> None:
    """Write down a change of a key, and that its document is to be published; `urgent` when it takes something away."""
    record(
        kind,
        by=by,
        tenant=key.tenant_id,
        target_kind="api_key",
        target_id=key.id,
        before=before,
        after=after,
        publish=[Publish(Topic.KEY, key.id, urgent=urgent), *publish],
    )
