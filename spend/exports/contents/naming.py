"""Names for the ids in events, looked up once each."""

from __future__ import annotations

from collections.abc import Iterable

from spend.names import Names, names_of

_KEPT_MOST = 50_000


class Naming:
    """The names of a tenant's projects and keys; an id that nothing has any more has the name ""."""

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._projects = names_of(tenant_id).projects
        self._keys: dict[str, str] = {}

    def learn(self, dimension: str, ids: Iterable[str]) -> None:
        """Look up the names of ids that are to be asked for."""
        if dimension != "key":
            return
        new = {each for each in ids if each and each not in self._keys}
        if not new:
            return
        if len(self._keys) > _KEPT_MOST:
            self._keys = {}
        found = Names({}).with_keys(self._tenant_id, new, seen=None).keys
        self._keys |= {each: found.get(each, "") for each in new}

    def name(self, dimension: str, found: str) -> str:
        """The name of an id."""
        return (self._projects if dimension == "project" else self._keys).get(found, "")
