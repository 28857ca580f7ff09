"""What is wrong: documents that a store refuses or did not take, objects that cannot be rendered, what is held back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db.models import QuerySet

from changes.models import OutboxRow
from publishing.models import KvEntry, KvVersion, Reconciliation
from publishing.queries.health import EnvironmentHealth, unpublished
from publishing.says import Change, changes_between
from publishing.subjects import Subject, subjects_of
from wire.documents import PRICING_BLOB

_PRICES_SHOWN = ("Models", "Models gone", "Models added", "Source", "Providers")


class Failed(NamedTuple):
    """A document that a store does not have as it should."""

    entry: KvEntry
    subject: Subject


class HeldEntry(NamedTuple):
    """A document that a guard holds back, and how it differs from what the store holds."""

    entry: KvEntry
    subject: Subject
    changes: Sequence[Change]


class Trouble(NamedTuple):
    """A page of each kind, the oldest first, and how many are parked in all."""

    parked: Sequence[Failed]
    parked_in_all: int
    failing: Sequence[Failed]
    objects: Sequence[OutboxRow]
    held: Sequence[HeldEntry]
    held_looks: Sequence[Reconciliation]

    @property
    def any(self) -> bool:
        return any((self.parked, self.failing, self.objects, self.held, self.held_looks))


def entries_for(tenant_id: str, *, all_tenants: bool) -> QuerySet[KvEntry]:
    """The entries that somebody may see: a tenant's own and the shared ones, or all. Without bodies."""
    entries = KvEntry.objects.defer("body")
    return entries if all_tenants else entries.filter(tenant_id__in=(tenant_id, ""))


def parked_entries(entries: QuerySet[KvEntry]) -> QuerySet[KvEntry]:
    """Those that a store refused for good. What a guard holds is none of them: it waits for a confirmation."""
    return entries.filter(parked=True, held="")


def trouble(
    entries: QuerySet[KvEntry], health: Sequence[EnvironmentHealth], *, with_objects: bool, most: int = 50
) -> Trouble:
    """What is wrong among some entries and in some environments. Objects may concern any tenant."""
    parked = parked_entries(entries)
    parked_rows = list(parked.order_by("updated_at", "id")[:most])
    anything = any(store.failing for environment in health for store in environment.stores)
    failed = (entries & unpublished()).exclude(error="").order_by("updated_at", "id")
    failing = list(failed[:most]) if anything else []
    held = list(entries.filter(parked=True).exclude(held="").defer(None).order_by("updated_at", "id")[:most])
    subjects = subjects_of((entry.env, entry.key) for entry in [*parked_rows, *failing, *held])
    published = _published(held)
    return Trouble(
        parked=[Failed(entry, subjects[entry.env, entry.key]) for entry in parked_rows],
        parked_in_all=len(parked_rows) if len(parked_rows) < most else parked.count(),
        failing=[Failed(entry, subjects[entry.env, entry.key]) for entry in failing],
        objects=list(OutboxRow.objects.exclude(error="").order_by("created_at", "id")[:most]) if with_objects else [],
        held=[
            HeldEntry(entry, subjects[entry.env, entry.key], _difference(entry, published.get(entry.pk)))
            for entry in held
        ],
        held_looks=[look for environment in health for store in environment.stores if (look := store.held_look)],
    )


def _published(held: Sequence[KvEntry]) -> dict[int, KvVersion]:
    """What the stores hold in the place of documents that are held back: of few, and so one by one."""
    found = {}
    for entry in held:
        before = KvVersion.objects.filter(env=entry.env, key=entry.key, rev__lte=entry.published_rev)
        if (version := before.order_by("-rev").first()) is not None:
            found[entry.pk] = version
    return found


def _difference(entry: KvEntry, published: KvVersion | None) -> list[Change]:
    if published is None:
        return []
    found = changes_between(entry.key, published.body, entry.body)
    return [change for change in found if entry.key != PRICING_BLOB or change.label in _PRICES_SHOWN]
