"""What the groups of spend are called: events carry ids, people know names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from spend.forms import Choices
from tenants.models import ApiKey, Project

MODEL_UNKNOWN = "Model not named"


class Names(NamedTuple):
    """A tenant's projects and keys by id, those that are revoked included."""

    projects: Mapping[str, str]
    keys: Mapping[str, str]

    def of(self, group_by: str) -> Mapping[str, str]:
        """The names of a grouping; empty where a group is its own name."""
        return {"project": self.projects, "key": self.keys}.get(group_by, {})

    @property
    def project_choices(self) -> Choices:
        return _by_name(self.projects)

    @property
    def key_choices(self) -> Choices:
        return _by_name(self.keys)


def names_of(tenant_id: str, *, keys: Collection[str] | None = None) -> Names:
    """A tenant's names, asked for once a page. With `keys` only those, and the projects that they belong to."""
    projects = Project.objects.filter(tenant=tenant_id)
    known = ApiKey.objects.filter(tenant=tenant_id)
    if keys is not None:
        known = known.filter(id__in=keys)
        projects = projects.filter(id__in=known.values("project_id"))
    return Names(dict(projects.values_list("id", "name")), dict(known.values_list("id", "name")))


def unnamed(group_by: str) -> Callable[[str], str]:
    """How to call a group that has no name: by its id, or in words where there is none."""
    nothing = {"model": MODEL_UNKNOWN, "project": "No project", "key": "No key"}.get(group_by, "Not known")
    return lambda group: group or nothing


def _by_name(names: Mapping[str, str]) -> Choices:
    return sorted(names.items(), key=lambda pair: pair[1].casefold())
