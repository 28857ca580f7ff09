"""Keys that stand in a text which somebody found: told apart, and revoked in one step. The text is kept nowhere."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from django.conf import settings
from django.db import transaction

from changes.actor import Actor
from changes.record import record
from tenants.actions.keys import revoke_key
from tenants.errors import InvalidSettingError
from tenants.leaks import TEXT_MOST, words_of
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import tenant_scope
from wire.keys import key_hash, parse_key


class Leak(NamedTuple):
    """A key of the tenant that stands in the text, and in which lines."""

    key: ApiKey
    lines: list[int]


class Leaks(NamedTuple):
    """What a text holds."""

    found: list[Leak]
    strangers: int  # well-formed keys of SpendOps that are not the tenant's, or not known at all
    lines: int
    cut: bool  # whether only a part of the words was looked at

    @property
    def working(self) -> list[Leak]:
        """Those whose key is not revoked yet."""
        return [each for each in self.found if each.key.status != ApiKey.Status.REVOKED]


def find_leaks(*, tenant: Tenant, text: str, by: Actor) -> Leaks:
    """The tenant's keys in a text, by their whole hash: whoever knows only an id makes nobody revoke a key.

    That it was looked is written down with the ids of the keys, and nothing of the text. Raises InvalidSettingError.
    """
    if not text.strip():
        raise InvalidSettingError("Paste the text in which keys may stand.", field="text")
    if len(text) > TEXT_MOST:
        raise InvalidSettingError(
            f"The text has {len(text):,} characters: paste at most {TEXT_MOST:,} at a time.", field="text"
        )
    words, peppers = words_of(text), settings.SPENDOPS.peppers.values()
    with transaction.atomic(), tenant_scope(tenant.id):
        lines: dict[str, list[int]] = {}  # by the key's hash
        ids = {parsed.public_id for parsed in map(parse_key, words.ours) if parsed}
        known = set(ApiKey.objects.filter(pk__in=ids).values_list("hash", flat=True)) if ids else set()
        strangers = 0
        for word, numbers in words.ours.items():
            hashed = next((each for each in (key_hash(word, pepper) for pepper in peppers) if each in known), "")
            if hashed:
                lines[hashed] = numbers
            else:
                strangers += 1
        foreign = set(ApiKey.objects.filter(taken_over=True).values_list("hash", flat=True).iterator())
        for word, numbers in words.others.items() if foreign else ():
            for hashed in (key_hash(word, pepper) for pepper in peppers):
                if hashed in foreign:
                    lines[hashed] = sorted({*lines.get(hashed, ()), *numbers})
        keys = ApiKey.objects.filter(hash__in=lines).select_related("project").order_by("name", "id")
        found = [Leak(key, lines[key.hash]) for key in keys]
        record(
            "leaks.checked",
            by=by,
            tenant=tenant.id,
            target_kind="tenant",
            target_id=tenant.id,
            after={"found": len(found), "keys": [each.key.id for each in found]},
        )
    return Leaks(found, strangers, len(text.splitlines()), words.cut)


def revoke_leaked(*, tenant: Tenant, key_ids: Collection[str], by: Actor) -> list[ApiKey]:
    """Revoke keys of a tenant at once, all or none. Those that were revoked meanwhile stay as they are."""
    with transaction.atomic(), tenant_scope(tenant.id):
        keys = list(ApiKey.objects.select_for_update().filter(pk__in=key_ids).order_by("pk"))
        projects = {key.project_id for key in keys}
        # in the order that all changes lock in, see tenants/actions/quotas.py
        list(Project.objects.select_for_update(no_key=True).filter(pk__in=projects).order_by("pk"))
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        return [revoke_key(key=key, by=by) for key in keys if key.status != ApiKey.Status.REVOKED]
