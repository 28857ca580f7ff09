"""What values of dimensions are called: events carry ids and codes, people know names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from spend.forms import STATUSES
from spend.names import Keys, Names, names_of, unnamed
from spend.queries.slices import OTHER
from wire.events import Status

_UNSAID = {"project", "key", "model"}  # those that `spend.names` has words for
_NOTHING = {"end_user": "No end user", "tier": "No tier", "source": "Through the gateway", "service_tier": "Standard"}


class Words:
    """The names of one tenant's values, as far as somebody may see them."""

    def __init__(self, tenant_id: str, *, seen: Collection[str] | None) -> None:
        self._tenant, self._seen = tenant_id, seen
        self._names: Names = names_of(tenant_id, seen=seen)
        self._keys: set[str] = set()

    def learn(self, name: str, values: Iterable[str]) -> None:
        """Look the names up of values that are about to be shown: of a tenant's keys there may be any number."""
        if name == "key":
            self._keys |= {value for value in values if value and value != OTHER}
            self._names = self._names.with_keys(self._tenant, self._keys, seen=self._seen)

    def of(self, name: str, value: str) -> str:
        """What a value of a dimension is called."""
        if value == OTHER:
            return "All others"
        if name == "status" and value in list(Status):
            return STATUSES[Status(value)]
        known = self._names.of(name).get(value)
        if known:
            return known
        if value:
            return value
        return unnamed(name)("") if name in _UNSAID else _NOTHING.get(name, "None")

    def value_of(self, name: str, text: str) -> str:
        """The value that somebody means who writes a name. Raises LookupError, whose text says what to do."""
        if name == "key":
            return Keys(self._tenant, seen=self._seen).find(text)[0]
        if name == "project" and text not in self._names.projects:
            found = [each for each, called in self._names.projects.items() if called.casefold() == text.casefold()]
            if len(found) != 1:
                raise LookupError("There is no such project: write its whole name, or its id.")
            return found[0]
        if name == "status":
            return next((each.value for each, called in STATUSES.items() if called.casefold() == text.casefold()), text)
        return text
