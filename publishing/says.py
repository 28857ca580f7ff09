"""Documents as people read them: in a word, as fields, and what changed between two revs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from wire.documents import PRICING_BLOB, ROUTING_PREFIX, TENANT_PRICING_PREFIX

_TIMES = {"not_before", "expires", "until", "first_seen"}  # Unix ms
_LABELS = {
    "rpm": "Requests a minute",
    "tpm": "Tokens a minute",
    "rev": "Rev",
    "env": "Environment",
    "key": "Key id",
}
_UNSAID = {"schema", "rev"}  # the same in all, or said beside
_NAMED_MOST = 12  # models of a price book that a difference names


Body = bytes | memoryview | None  # as the database gives it


class Field(NamedTuple):
    """A field of a document."""

    label: str
    value: str


class Change(NamedTuple):
    """A field that is not what it was; "" where it was not, or is no more. Of price books also `models` by name."""

    label: str
    before: str
    after: str
    models: str = ""


def says(key: str, body: Body, *, deleted: bool) -> str:
    """What a document of a key or a tenant comes down to: "active", "revoked", "suspended", "blocked"."""
    if deleted:
        return "deleted"
    document = _decoded(body)
    if document is None:
        return ""
    if key.startswith(TENANT_PRICING_PREFIX):
        return f"version {document.get('version')}"
    if key.startswith(ROUTING_PREFIX):
        chosen = len(_selections(document))
        return f"{chosen:,} {'selection' if chosen == 1 else 'selections'}"
    block = document.get("block")
    if isinstance(block, dict):
        return f"blocked: {_words(str(block.get('reason', '')))}"
    if key.startswith("tenant:"):
        return "suspended" if document.get("suspended") else "active"
    return _words(str(document.get("status", "active"))) if key.startswith("key:") else ""


def fields_of(key: str, body: Body) -> list[Field]:
    """A document's fields in order; of a price book, what it comes down to. [] for a deletion."""
    document = _decoded(body)
    if document is None:
        return []
    return [Field(_label(path), _shown(path, value)) for path, value in _flat(key, document).items()]


def changes_between(key: str, before: Body, after: Body) -> list[Change]:
    """The fields that differ between two revs, and the models of two price books."""
    old, new = _decoded(before), _decoded(after)
    if old is None or new is None:
        whole = new if old is None else old
        if whole is None:
            return []
        made = Change("Document", "", "written") if old is None else Change("Document", "there", "deleted")
        return [made]
    one, other = _flat(key, old), _flat(key, new)
    found = [
        Change(
            _label(path),
            _shown(path, one[path]) if path in one else "",
            _shown(path, other[path]) if path in other else "",
        )
        for path in dict.fromkeys([*one, *other])
        if one.get(path) != other.get(path)
    ]
    if key == PRICING_BLOB:
        found += _changed_parts(_models(old), _models(new), ("Models gone", "Models added", "Prices changed"))
    if key.startswith(TENANT_PRICING_PREFIX):
        found += _changed_parts(_rules(old), _rules(new), ("Overrides gone", "Overrides added", "Overrides changed"))
    return found


def pretty(body: Body) -> str:
    """A document as JSON with a field a line; what is no JSON as it is, as far as it is text."""
    if body is None:
        return ""
    try:
        return msgspec.json.format(bytes(body), indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return bytes(body).decode(errors="replace")


def _decoded(body: Body) -> dict[str, Any] | None:
    if body is None:
        return None
    try:
        found = msgspec.json.decode(bytes(body))
    except msgspec.DecodeError:
        return {"document": bytes(body).decode(errors="replace")[:500]}
    return found if isinstance(found, dict) else {"document": found}


def _flat(key: str, document: Mapping[str, Any]) -> dict[str, Any]:
    if key == PRICING_BLOB and isinstance(document.get("models"), dict):
        return {
            "version": document.get("version"),
            "source": document.get("source"),
            "env": document.get("env"),
            "providers": len(document["models"]),
            "models": len(_models(document)),
        }
    if key.startswith(TENANT_PRICING_PREFIX) and isinstance(document.get("rules"), list):
        return {**document, "rules": len(document["rules"])}
    if key.startswith(ROUTING_PREFIX):
        return {"env": document.get("env"), "tenant": document.get("tenant"), **_selections(document)}
    if key.startswith("key:"):
        document = {"status": "active", **document}  # what is left out of documents is what is usual
    if key.startswith("tenant:"):
        document = {"suspended": False, **document}
    return dict(_leaves("", document))


def _leaves(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        inner = ((f"{path}.{name}" if path else name, each) for name, each in value.items())
        return [leaf for name, each in inner if name not in _UNSAID for leaf in _leaves(name, each)]
    return [(path, value)]


def _changed_parts(old: Mapping[str, Any], new: Mapping[str, Any], labels: tuple[str, str, str]) -> list[Change]:
    """The names of what is gone, what is new and what differs between two revs."""
    found = []
    for label, names in zip(
        labels,
        (
            [name for name in old if name not in new],
            [name for name in new if name not in old],
            [name for name in new if name in old and old[name] != new[name]],
        ),
        strict=True,
    ):
        if names:
            more = f" and {len(names) - _NAMED_MOST:,} more" if len(names) > _NAMED_MOST else ""
            listed = ", ".join(sorted(names)[:_NAMED_MOST]) + more
            found.append(Change(label, "", "", listed))
    return found


def _rules(document: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides of a tenant's document, by id."""
    rules = document.get("rules")
    return {str(each.get("id")): each for each in rules if isinstance(each, dict)} if isinstance(rules, list) else {}


def _selections(document: Mapping[str, Any]) -> dict[str, str]:
    """What a tenant's tiers stand for, by use, tier and project."""
    listed = document.get("selections")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return {
        " ".join(filter(None, (str(each.get("use")), str(each.get("tier")), str(each.get("project", ""))))): (
            f"{each.get('provider')}/{each.get('model')}"
        )
        for each in found
    }


def _models(document: Mapping[str, Any]) -> dict[str, Any]:
    """The models of a price book as "provider/model"; {} of anything else."""
    providers = document.get("models")
    if not isinstance(providers, dict):
        return {}
    return {
        f"{provider}/{model}": prices
        for provider, models in providers.items()
        if isinstance(models, dict)
        for model, prices in models.items()
    }


def _label(path: str) -> str:
    first, *rest = path.split(".")
    if first == "tags" and rest:
        return f"Tag {'.'.join(rest)}"
    return " ".join([_LABELS.get(first, _words(first).capitalize()), *(_words(each) for each in rest)])


def _shown(path: str, value: Any) -> str:
    name = path.rpartition(".")[2]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        if name in _TIMES:
            return "never" if not value else _moment(value)
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return _words(value) if name in ("status", "reason") and isinstance(value, str) else str(value)


def _moment(ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"


def _words(name: str) -> str:
    return name.replace("_", " ")
