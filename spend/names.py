"""What the groups of spend are called: events carry ids, people know names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from django.db.models import Q, QuerySet

from spend.forms import Choices
from spend.importing.adapters import SOURCES
from spend.importing.facts import KEY
from tenants.models import ApiKey, Project

MODEL_UNKNOWN = "Model not named"
OFFERED_MOST = 100
IMPORTED = {f"{KEY}{source}": f"Imported from {name}" for source, name in SOURCES.items()}
_AT_ONCE = 500  # keys in one question


class Names(NamedTuple):
    """A tenant's projects, and those of its keys that a page shows, by id; what is revoked included."""

    projects: Mapping[str, str]
    keys: Mapping[str, str] = {}

    def of(self, group_by: str) -> Mapping[str, str]:
        """The names of a grouping; empty where a group is its own name."""
        return {"project": self.projects, "key": self.keys}.get(group_by, {})

    @property
    def project_choices(self) -> Choices:
        return sorted(self.projects.items(), key=lambda pair: pair[1].casefold())

    def with_keys(self, tenant_id: str, shown: Iterable[str], *, seen: Collection[str] | None) -> Names:
        """The same with the names of the keys that are shown."""
        ids, keys = sorted(set(shown)), _keys(tenant_id, seen)
        found = {each: IMPORTED[each] for each in ids if each in IMPORTED and seen is None}
        for begin in range(0, len(ids), _AT_ONCE):
            found |= dict(keys.filter(id__in=ids[begin : begin + _AT_ONCE]).values_list("id", "name"))
        return self._replace(keys=found)


def names_of(tenant_id: str, *, seen: Collection[str] | None = None) -> Names:
    """The names of a tenant's projects; with `seen` only of those that these keys belong to. No key's yet."""
    projects = Project.objects.filter(tenant=tenant_id)
    if seen is not None:
        projects = projects.filter(id__in=_keys(tenant_id, seen).values("project_id"))
    return Names(dict(projects.values_list("id", "name")))


class Keys:
    """How a person names one of the tenant's keys, of which there may be any number."""

    def __init__(self, tenant_id: str, *, seen: Collection[str] | None) -> None:
        self._keys = _keys(tenant_id, seen)

    def offered(self) -> Choices:
        """Those that were used lately, by id."""
        used = self._keys.exclude(last_used_at=None).order_by("-last_used_at", "-id")
        return list(used.values_list("id", "name")[:OFFERED_MOST])

    def find(self, text: str) -> tuple[str, str]:
        """The id and the name of the key with this id or name. Raises LookupError, whose text says what to do."""
        found = list(self._keys.filter(Q(id=text) | Q(name__iexact=text)).values_list("id", "name")[:2])
        exact = [each for each in found if each[0] == text] or found
        if not exact:
            raise LookupError("There is no such key: write its whole name, or its id.")
        if len(exact) > 1:
            raise LookupError("Several keys are called so: write the id of the one that you mean.")
        return exact[0]


def _keys(tenant_id: str, seen: Collection[str] | None) -> QuerySet[ApiKey]:
    keys: QuerySet[ApiKey] = ApiKey.objects.filter(tenant=tenant_id)
    return keys if seen is None else keys.filter(id__in=seen)


def unnamed(group_by: str) -> Callable[[str], str]:
    """How to call a group that has no name: by its id, or in words where there is none."""
    nothing = {"model": MODEL_UNKNOWN, "project": "No project", "key": "No key"}.get(group_by, "Not known")
    return lambda group: group or nothing
