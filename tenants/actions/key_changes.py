"""Changes of what an API key may do. Of two people who edit a key at once, the second is told and loses nothing."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from tenants.actions.keys import record_key, refuse_stranger
from tenants.actions.quotas import move_key
from tenants.actions.standing import hold_open
from tenants.actions.versions import refuse_overtaken
from tenants.errors import InvalidSettingError, StatusError
from tenants.models import ApiKey, Project
from tenants.policy import KeySettings, settings_of, takes_away
from tenants.scope import tenant_scope


def change_key(*, key: ApiKey, settings: KeySettings, version: int | None = None, by: Actor) -> ApiKey:
    """Give a key other settings. Changing nothing records nothing.

    `version` is the one that the caller saw; None asks nothing. Raises StaleError when it is no longer that,
    StatusError for a revoked key, and RefusedError.
    """
    with transaction.atomic(), tenant_scope(key.tenant_id):
        key = ApiKey.objects.select_for_update(of=("self",)).select_related("project").get(pk=key.pk)
        refuse_revoked(key)
        refuse_overtaken(key, version, target_kind="api_key")
        standing = settings_of(key)
        wanted = settings.clean(now=timezone.now(), standing=standing)
        _refuse_foreign(wanted, standing, tenant_id=key.tenant_id)
        if wanted.project != standing.project:
            move_key(standing.project, wanted.project)
        hold_open(key.tenant_id)
        apply_settings(key, wanted, by=by)
    return key


def apply_settings(key: ApiKey, wanted: KeySettings, *, by: Actor) -> bool:
    """Store clean settings of a locked key and write down what differs; whether anything did."""
    standing = settings_of(key)
    before, after = standing.described(), wanted.described()
    changed = [name for name in after if after[name] != before[name]]
    if not changed:
        return False
    columns = wanted.columns()
    for name, value in columns.items():
        setattr(key, name, value)
    key.version += 1
    key.save(update_fields=[*(ApiKey._meta.get_field(name).name for name in columns), "version"])
    record_key(
        "api_key.changed",
        key,
        by=by,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
        urgent=takes_away(standing, wanted),
    )
    return True


def refuse_revoked(key: ApiKey) -> None:
    """Raise StatusError for a key that is revoked: it stays as it was."""
    if key.status == ApiKey.Status.REVOKED:
        raise StatusError(f"The key “{key.name}” is revoked for ever and cannot be changed: issue a new one.")


def _refuse_foreign(wanted: KeySettings, standing: KeySettings, *, tenant_id: str) -> None:
    """Raise RefusedError for a new project or owner that is not of this tenant."""
    if wanted.owner != standing.owner:
        refuse_stranger(wanted.owner, tenant_id=tenant_id)
    if wanted.project != standing.project and not Project.objects.filter(tenant=tenant_id, pk=wanted.project).exists():
        raise InvalidSettingError("This project is not there any more: choose another one.", field="project")
