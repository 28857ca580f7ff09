"""How the audit trail speaks: each app's `trail.py` registers a sentence for each kind, and how its things are named.

Events hold ids only. What they mean, and what a thing is called today, is looked up here when events are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from string import Formatter
from typing import Any, NamedTuple

from changes.models import AuditEvent
from wire.display import moment_to_the_minute

NOBODY = "Nobody"
_GAP = "–"

Names = Mapping[str, str]


def _nothing(_: Collection[str]) -> Names:
    return {}


def _nowhere(_: str) -> Collection[str]:
    return ()


@dataclass(frozen=True)
class Noun:
    """A kind of thing that events are about. `names` maps ids to today's names, `find` part of a name to ids.

    Both see what the open tenant scope allows. `fields` are the names under which other events mention such a thing.
    """

    label: str
    names: Callable[[Collection[str]], Names] = _nothing
    find: Callable[[str], Collection[str]] = _nowhere
    fields: tuple[str, ...] = field(default=())


class Part(NamedTuple):
    """A piece of a sentence; `strong` for who and what."""

    text: str
    strong: bool


_nouns: dict[str, Noun] = {}
_sentences: dict[str, str] = {}
_labels: dict[str, str] = {}
_words_of_zero: dict[str, str] = {}


def register(
    *,
    nouns: Mapping[str, Noun],
    sentences: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
    words_of_zero: Mapping[str, str] | None = None,
) -> None:
    """Add an app's nouns (by target kind), sentences (by event kind) and names of fields that need other words.

    `words_of_zero` says what 0 means in a field, where it is more than a number.
    A sentence may hold {actor}, {target}, {after[name]} and {before[name]}. Raises ValueError for a kind that is taken.
    """
    for taken in (nouns.keys() & _nouns.keys(), sentences.keys() & _sentences.keys()):
        if taken:
            raise ValueError(f"Registered twice: {', '.join(sorted(taken))}.")
    _nouns.update(nouns)
    _sentences.update(sentences)
    _labels.update(labels or {})
    _words_of_zero.update(words_of_zero or {})


def known_kinds() -> list[str]:
    """All kinds of event that have a sentence, by name."""
    return sorted(_sentences)


def noun_label(target_kind: str) -> str:
    """What a kind of thing is called, such as "API key"."""
    known = _nouns.get(target_kind)
    return known.label if known else target_kind.replace("_", " ").capitalize()


def field_label(name: str) -> str:
    """What a field of `before` or `after` is called, such as "Time zone"."""
    return _labels.get(name) or name.replace("_", " ").capitalize()


def role_label(role: str) -> str:
    """A role in words, such as "tenant admin"."""
    return role.replace("_", " ")


def find_targets(text: str) -> set[str]:
    """The ids of all things that are called like this, as far as the open scope allows, and the text itself."""
    return {text}.union(*(noun.find(text) for noun in _nouns.values()))


class Naming:
    """The names for a number of events, asked for once for each kind of thing."""

    def __init__(self, events: Iterable[AuditEvent], *, zone: str = "UTC") -> None:
        """Moments are told in `zone`."""
        self._zone = zone
        wanted: dict[str, set[str]] = {}
        for event in events:
            for kind, found in self._mentioned(event):
                wanted.setdefault(kind, set()).add(found)
        self._names = {kind: _nouns[kind].names(ids) for kind, ids in wanted.items()}

    @staticmethod
    def _mentioned(event: AuditEvent) -> Iterable[tuple[str, str]]:
        for kind, found in ((event.actor_kind, event.actor_id), (event.target_kind, event.target_id)):
            if kind in _nouns and found:
                yield kind, found
        if event.tenant_id and "tenant" in _nouns:
            yield "tenant", event.tenant_id
        for side in (event.before, event.after):
            for name, value in (side or {}).items():
                noun = _noun_of_field(name)
                if noun and isinstance(value, str) and value:
                    yield noun, value

    def of(self, kind: str, found: str) -> str:
        """What a thing is called; its id when it has no name (any more)."""
        return self._names.get(kind, {}).get(found, found)

    def actor(self, event: AuditEvent) -> str:
        """Who did it."""
        if not event.actor_id:
            return NOBODY
        return (
            f"System ({event.actor_id})" if event.actor_kind == "system" else self.of(event.actor_kind, event.actor_id)
        )

    def target(self, event: AuditEvent) -> str:
        """What it was done to."""
        return self.of(event.target_kind, event.target_id)

    def value(self, name: str, value: Any) -> str:
        """A value of `before` or `after` as people read it."""
        if value is None or value == "" or value == []:
            return _GAP
        if isinstance(value, bool):
            return "yes" if value else "no"
        if name.endswith(("_at", "_before")) and isinstance(value, str):
            return _moment(value, self._zone)
        if name == "role":
            return role_label(str(value))
        noun = _noun_of_field(name)
        if noun and isinstance(value, str):
            called = self.of(noun, value)
            return called if called == value else f"{called} ({value})"
        if isinstance(value, int):
            return _words_of_zero.get(name, "0") if value == 0 else f"{value:,}"
        if isinstance(value, list):
            return ", ".join(self.value(name, each) for each in value)
        if isinstance(value, dict):
            return ", ".join(f"{key}: {self.value(key, each)}" for key, each in sorted(value.items()))
        return str(value)

    def sentence(self, event: AuditEvent) -> list[Part]:
        """What happened, in words. A kind that nobody registered is told by its name."""
        template = _sentences.get(event.kind, "{actor}: " + event.kind + " of {target}")
        parts = []
        for text, name, _, _ in Formatter().parse(template):
            if text:
                parts.append(Part(text, strong=False))
            if name:
                parts.append(Part(self._told(event, name), strong=True))
        return parts

    def _told(self, event: AuditEvent, name: str) -> str:
        if name == "actor":
            return self.actor(event)
        if name == "target":
            return self.target(event)
        side, _, inner = name.partition("[")
        values = (event.before if side == "before" else event.after) or {}
        inner = inner.rstrip("]")
        return self.value(inner, values.get(inner))


def _moment(text: str, zone: str) -> str:
    """A recorded moment to the minute; what is none stays as it is."""
    try:
        at = datetime.fromisoformat(text)
        if zone != "UTC":
            return moment_to_the_minute(at, zone, year=True)
        return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text


def _noun_of_field(name: str) -> str:
    """The kind of thing that a field of `before` or `after` names by id, "" for none."""
    return next((kind for kind, noun in _nouns.items() if name in noun.fields), "")


class Difference(NamedTuple):
    """One field of what was before and after, as people read it."""

    label: str
    before: str
    after: str
    changed: bool


def differences(event: AuditEvent, naming: Naming) -> list[Difference]:
    """What was before and after, field by field, what changed first."""
    before, after = event.before or {}, event.after or {}
    found = [
        Difference(
            label=field_label(name),
            before=naming.value(name, before.get(name)) if name in before else "",
            after=naming.value(name, after.get(name)) if name in after else "",
            changed=name in after and before.get(name) != after.get(name),
        )
        for name in dict.fromkeys([*before, *after])
    ]
    return sorted(found, key=lambda each: not each.changed)
