"""One change of many keys, exactly those that were chosen: in pieces, each a transaction with its audit events.

A batch that was broken off, as by a restart, goes on where it stopped; what is done already is not done again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from tenants.actions.key_changes import apply_settings
from tenants.actions.keys import refuse_stranger, set_resting, set_revoked
from tenants.actions.quotas import give_back_all
from tenants.actions.standing import hold_open
from tenants.errors import InvalidSettingError, RefusedError
from tenants.models import ApiKey, KeyBatch
from tenants.policy import KeySettings, settings_of
from tenants.rules import clean_expiry
from tenants.scope import across_tenants, tenant_scope
from tenants.tags import clean_tags

PIECE = 100  # keys a transaction: it holds the end of the audit trail, which every other change waits for
AT_ONCE = 500  # as many are changed while the request waits
_Action = KeyBatch.Action


def begin_batch(
    *, tenant_id: str, action: str, keys: Sequence[str], arguments: Mapping[str, Any] | None = None, by: Actor
) -> KeyBatch:
    """Write down a change of these keys, to be worked off. Raises RefusedError.

    `arguments`: `expires_at` (a moment as ISO 8601, or None), `name` and `value` of a tag, or `owner`.
    """
    if action not in _Action.values:
        raise InvalidSettingError(f"There is no action {action[:40]!r}: choose one of {', '.join(_Action.values)}.")
    if not keys:
        raise InvalidSettingError("No key is chosen: choose at least one.")
    given = _clean(_Action(action), dict(arguments or {}), tenant_id=tenant_id)
    batch = KeyBatch(
        tenant_id=tenant_id,
        action=action,
        arguments=given,
        keys=list(dict.fromkeys(keys)),
        begun_by=asdict(by),
    )
    batch.total = len(batch.keys)
    with transaction.atomic(), tenant_scope(tenant_id):
        if action not in _TAKES_AWAY:
            hold_open(tenant_id)
        batch.save(force_insert=True)
        record(
            "key_batch.begun",
            by=by,
            tenant=tenant_id,
            target_kind="key_batch",
            target_id=batch.id,
            after={"action": action, "keys": batch.total, **given},
        )
    return batch


_TAKES_AWAY = {_Action.DISABLE, _Action.REVOKE}  # possible in an archived tenant, too


def _clean(action: _Action, given: dict[str, Any], *, tenant_id: str) -> dict[str, Any]:
    if action == _Action.EXPIRY:
        moment = datetime.fromisoformat(given["expires_at"]) if given.get("expires_at") else None
        expires_at = clean_expiry(moment, now=timezone.now())
        return {"expires_at": expires_at.isoformat() if expires_at else None}
    if action == _Action.ADD_TAG:
        ((name, value),) = clean_tags({given["name"]: given["value"]}, field="name").items()
        return {"name": name, "value": value}
    if action == _Action.REMOVE_TAG:
        name = given["name"].strip()
        if not name:
            raise InvalidSettingError("Write the name of the tag to remove.", field="name")
        return {"name": name}
    if action == _Action.OWNER:
        refuse_stranger(given["owner"], tenant_id=tenant_id)
        return {"owner": given["owner"]}
    return {}


def work_off(batch: KeyBatch, *, seconds: float | None = None) -> KeyBatch:
    """Go on with a batch until it is done, or `seconds` have passed."""
    ends = None if seconds is None else time.monotonic() + seconds
    while batch.finished_at is None and (ends is None or time.monotonic() < ends):
        batch = _piece(batch)
    return batch


def work_off_all(*, seconds: float) -> None:
    """Go on with what is unfinished of all tenants, the oldest first, for so long. Two at once share the work."""
    ends = time.monotonic() + seconds
    with across_tenants("batches of every tenant are worked off in turn"):
        open_batches = list(KeyBatch.objects.filter(finished_at=None).defer("keys").order_by("created_at"))
    for batch in open_batches:
        if time.monotonic() < ends:
            work_off(batch, seconds=ends - time.monotonic())


def _piece(batch: KeyBatch) -> KeyBatch:
    with transaction.atomic(), tenant_scope(batch.tenant_id):
        batch = KeyBatch.objects.select_for_update().get(pk=batch.pk)
        ids = batch.keys[batch.done : batch.done + PIECE]
        keys = list(ApiKey.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
        skipped = Counter(batch.skipped)
        if len(keys) < len(ids):
            skipped["not there any more"] += len(ids) - len(keys)
        try:
            skipped += _PERFORM[_Action(batch.action)](keys, batch.arguments, Actor(**batch.begun_by))
        except RefusedError as error:  # before any of them was changed, as when the tenant was archived meanwhile
            skipped[error.message] += len(keys)
        batch.done += len(ids)
        batch.skipped = dict(skipped)
        batch.changed = batch.done - skipped.total()
        if batch.done >= batch.total:
            batch.finished_at = timezone.now()
        batch.save(update_fields=["done", "changed", "skipped", "finished_at"])
    return batch


# -- what is done to the locked keys of a piece; each says how many it left as they were, and why


def _disable(keys: list[ApiKey], _: Mapping[str, Any], by: Actor) -> Counter[str]:
    return _set_resting(keys, resting=True, by=by)


def _enable(keys: list[ApiKey], _: Mapping[str, Any], by: Actor) -> Counter[str]:
    if keys:
        hold_open(keys[0].tenant_id)
    return _set_resting(keys, resting=False, by=by)


def _set_resting(keys: list[ApiKey], *, resting: bool, by: Actor) -> Counter[str]:
    skipped: Counter[str] = Counter()
    for key in keys:
        if key.status == ApiKey.Status.REVOKED:
            skipped["revoked for ever"] += 1
        elif (key.status == ApiKey.Status.DISABLED) == resting:
            skipped["disabled already" if resting else "enabled already"] += 1
        else:
            set_resting(key, resting=resting, by=by)
    return skipped


def _revoke(keys: list[ApiKey], _: Mapping[str, Any], by: Actor) -> Counter[str]:
    living = [key for key in keys if key.status != ApiKey.Status.REVOKED]
    if living:
        give_back_all(living[0].tenant_id, Counter(key.project_id for key in living))
    for key in living:
        set_revoked(key, by=by)
    return Counter({"revoked already": len(keys) - len(living)} if len(living) < len(keys) else {})


def _change(change: Callable[[KeySettings, Mapping[str, Any]], KeySettings]) -> _Performs:
    def perform(keys: list[ApiKey], given: Mapping[str, Any], by: Actor) -> Counter[str]:
        skipped: Counter[str] = Counter()
        if keys:
            hold_open(keys[0].tenant_id)
        now = timezone.now()
        for key in keys:
            standing = settings_of(key)
            if key.status == ApiKey.Status.REVOKED:
                skipped["revoked for ever"] += 1
                continue
            try:
                wanted = change(standing, given).clean(now=now, standing=standing)
            except RefusedError as error:
                skipped[error.message] += 1
                continue
            if not apply_settings(key, wanted, by=by):
                skipped["so already"] += 1
        return skipped

    return perform


def _with_expiry(standing: KeySettings, given: Mapping[str, Any]) -> KeySettings:
    moment = given["expires_at"]
    return replace(standing, expires_at=datetime.fromisoformat(moment) if moment else None)


def _with_tag(standing: KeySettings, given: Mapping[str, Any]) -> KeySettings:
    return replace(standing, tags={**standing.tags, given["name"]: given["value"]})


def _without_tag(standing: KeySettings, given: Mapping[str, Any]) -> KeySettings:
    return replace(standing, tags={name: value for name, value in standing.tags.items() if name != given["name"]})


def _with_owner(standing: KeySettings, given: Mapping[str, Any]) -> KeySettings:
    return replace(standing, owner=given["owner"])


_Performs = Callable[[list[ApiKey], Mapping[str, Any], Actor], "Counter[str]"]
_PERFORM: dict[_Action, _Performs] = {
    _Action.DISABLE: _disable,
    _Action.ENABLE: _enable,
    _Action.REVOKE: _revoke,
    _Action.EXPIRY: _change(_with_expiry),
    _Action.ADD_TAG: _change(_with_tag),
    _Action.REMOVE_TAG: _change(_without_tag),
    _Action.OWNER: _change(_with_owner),
}
