"""Overrides in words, for pages: what one is for, what it makes of prices, when it holds, who changed it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from changes.models import AuditEvent
from changes.trail import Naming, Part, field_label
from pricing import figures
from pricing.models import Override, OverrideBook
from pricing.override_rules import ANY, effect_text, has_wildcard
from wire.display import moment, moment_to_the_minute
from wire.overrides import OverrideKind

_UNIT_PRICES_SHOWN = 3


class Shown(NamedTuple):
    """An override as pages show it."""

    row: Override
    scope: str
    project: str
    effect: str
    state: str
    state_kind: str  # of `components/status.html`
    begins: str
    ends: str  # "" without an end
    changed_by: str
    changed_at: datetime | None


class Told(NamedTuple):
    """One field that a version changed."""

    label: str
    before: str
    after: str


class Version(NamedTuple):
    """One version of a tenant's overrides, and what made it."""

    book: OverrideBook
    rules: int
    sentence: Sequence[Part]
    override_id: str  # "" when it was not one alone
    told: Sequence[Told]


def scope_text(provider: str, model: str) -> str:
    """Which calls a rule is for: "Every model of openai"."""
    if provider == ANY:
        return "Every model" if model == ANY else f"{model} of any provider"
    return f"Every model of {provider}" if model == ANY else f"{model} of {provider}"


def effect_words(kind: str, basis_points: int, prices: Mapping[str, int]) -> str:
    """What a rule makes of prices: "15% off the list price", "input tokens $0.15 a million tokens"."""
    if kind != OverrideKind.ABSOLUTE:
        text = effect_text(kind, basis_points)
        return f"{text[0].upper()}{text[1:]}"
    told = [f"{row.label} {row.amounts[0].quoted} {row.per}" for row in figures.rows(prices)]
    more = len(told) - _UNIT_PRICES_SHOWN
    text = ", ".join(told[:_UNIT_PRICES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{text[0].upper()}{text[1:]}"


def state_of(row: Override, now: datetime) -> tuple[str, str]:
    """How an override stands, as a word and as the kind of its badge."""
    if row.status == Override.Status.ARCHIVED:
        return "Archived", ""
    if row.ends_at is not None and row.ends_at <= now:
        return "Ended", ""
    return ("Scheduled", "accent") if row.starts_at > now else ("Active", "ok")


def shown(rows: Sequence[Override], now: datetime, *, zone: str) -> list[Shown]:
    """Overrides of one tenant as pages show them. Needs its scope."""
    last = {event.target_id: event for event in _events(rows)}  # the later stands before the earlier
    naming = Naming(last.values())
    found = []
    for row in rows:
        event = last.get(row.pk)
        state, kind = state_of(row, now)
        found.append(
            Shown(
                row,
                scope_text(row.provider, row.model),
                row.project.name if row.project else "All projects",
                effect_words(row.kind, row.basis_points, row.prices),
                state,
                kind,
                _chosen(row.starts_at, zone),
                _chosen(row.ends_at, zone) if row.ends_at else "",
                naming.actor(event) if event else "",
                event.at if event else None,
            )
        )
    return found


def versions(books: Sequence[OverrideBook], *, zone: ZoneInfo) -> list[Version]:
    """Versions of one tenant's overrides with what each changed. Needs its scope."""
    if not books:
        return []
    events = AuditEvent.objects.filter(
        tenant_id=books[0].tenant_id,
        target_kind__in=("override", "tenant"),
        after__book__in=[book.version for book in books],
    )
    by_version = {(event.after or {})["book"]: event for event in events}
    naming = Naming(by_version.values())
    found = []
    for book in books:
        event = by_version.get(book.version)
        about = event.target_id if event is not None and event.target_kind == "override" else ""
        sentence = naming.sentence(event) if event else ()
        found.append(Version(book, len(book.rules), sentence, about, _told(event, naming, zone) if event else ()))
    return found


def story(row: Override, *, zone: ZoneInfo) -> list[tuple[AuditEvent, Sequence[Part], Sequence[Told]]]:
    """What was done to one override, the newest first. Needs its tenant's scope."""
    events = list(_events([row]))[::-1]
    naming = Naming(events)
    return [(event, naming.sentence(event), _told(event, naming, zone)) for event in events]


def _events(rows: Collection[Override]) -> Sequence[AuditEvent]:
    ids = [row.pk for row in rows]
    return list(AuditEvent.objects.filter(target_kind="override", target_id__in=ids).order_by("id"))


def _told(event: AuditEvent, naming: Naming, zone: ZoneInfo) -> list[Told]:
    before, after = event.before or {}, event.after or {}
    return [
        Told(_LABELS.get(name) or field_label(name), _value(name, before.get(name), naming, zone), new)
        for name in after
        if name in before and before[name] != after[name]
        if (new := _value(name, after[name], naming, zone)) is not None
    ]


_LABELS = {"basis_points": "Percentage", "starts_at": "Begins", "ends_at": "Ends"}


def _value(name: str, value: Any, naming: Naming, zone: ZoneInfo) -> str:
    match name:
        case "basis_points":
            return effect_text(OverrideKind.PERCENT, value or 0)
        case "prices":
            return effect_words(OverrideKind.ABSOLUTE, 0, value) if value else "–"
        case "kind":
            return Override.Kind(value).label if value in Override.Kind.values else str(value)
        case "starts_at" | "ends_at":
            return _chosen(datetime.fromisoformat(value), zone.key) if value else "No end"
        case "project":
            return naming.of("project", value) if value else "All projects"
    return naming.value(name, value)


def _chosen(at: datetime, zone: str) -> str:
    """A moment that a person chose, with its seconds when it has any."""
    as_text = moment if at.second else moment_to_the_minute
    return as_text(at, zone, year=True)


def is_pattern(row: Override) -> bool:
    """Whether an override may mean several models."""
    return has_wildcard(row.provider) or has_wildcard(row.model)
