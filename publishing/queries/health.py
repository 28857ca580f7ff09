"""How each store of each environment stands: how far it is behind SQL, and what holds it up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, F, Min, Q, QuerySet
from django.utils import timezone

from changes.models import OutboxRow
from publishing import leases
from publishing.models import KvEntry, PublisherLease, Reconciliation, Republish
from publishing.reconcile.run import latest
from wire.kv.stores import Kind, Store

_FEW = 1000  # waiting documents that are counted one by one
_COUNT_SECONDS = 10  # how old a number of documents may be: counting reads every row
Answer = TypeVar("Answer")

KINDS = {Kind.EMBEDDED: "Embedded", Kind.REDIS: "Redis", Kind.CLOUDFLARE: "Cloudflare Workers KV"}


class Lag(NamedTuple):
    """How far an environment is behind SQL. `age_ms` is that of the oldest change that is not in all its stores yet."""

    env: str
    waiting: int
    failing: int
    age_ms: int
    error: str  # why nothing can be written into one of the stores, "" when it can


class State(StrEnum):
    """How a store stands, the worst that holds."""

    PAUSED = "paused"
    HELD = "held"
    PARKED = "parked"
    BEHIND = "behind"
    OK = "ok"

    @property
    def label(self) -> str:
        return _STATES[self][0]

    @property
    def kind(self) -> str:
        """The status badge's."""
        return _STATES[self][1]


_STATES = {
    State.PAUSED: ("Paused", "bad"),
    State.HELD: ("Held", "warn"),
    State.PARKED: ("Parked documents", "bad"),
    State.BEHIND: ("Behind", "warn"),
    State.OK: ("Up to date", "ok"),
}


@dataclass(frozen=True)
class StoreHealth:
    """One store. `waiting` counts rendered documents that it has not acknowledged, `behind_ms` the oldest one's age."""

    store: Store
    read_by_gateways: bool
    waiting: int
    failing: int
    behind_ms: int
    parked: int
    held: int
    documents: int
    last_write: datetime | None
    lease: PublisherLease
    last_look: Reconciliation | None
    held_look: Reconciliation | None  # a comparison whose repair waits for a person

    @property
    def name(self) -> str:
        return KINDS[self.store.kind]

    @property
    def place(self) -> str:
        """Which of its kind, "" where there is only one."""
        return "" if self.store.id == self.store.kind.value else self.store.id

    @property
    def state(self) -> State:
        if self.lease.error:
            return State.PAUSED
        if self.held or self.held_look:
            return State.HELD
        if self.parked:
            return State.PARKED
        return State.BEHIND if self.waiting else State.OK


@dataclass(frozen=True)
class EnvironmentHealth:
    """One environment. What is still to be rendered concerns all of them: nobody has looked at it yet."""

    env: str
    stores: Sequence[StoreHealth]
    to_render: int
    to_render_ms: int
    republish: Republish | None  # the one that is under way

    @property
    def state(self) -> State:
        """The worst of its stores', and behind while something is to be rendered."""
        found = [store.state for store in self.stores]
        found.append(State.BEHIND if self.to_render else State.OK)
        return min(found, key=list(State).index)


class _Waiting(NamedTuple):
    number: int = 0
    failing: int = 0
    oldest: datetime | None = None


def health(environments: Iterable[str], *, seen_by: Sequence[str] | None) -> list[EnvironmentHealth]:
    """Every environment's health. `seen_by` are the tenants whose documents are counted; None for all.

    The number of queries depends on the stores that are configured, and on nothing else.
    """
    now = timezone.now()
    parked, held = _parked(), _held()
    documents = _documents(seen_by)
    states = {lease.namespace: lease for lease in PublisherLease.objects.all()}
    running = {each.env: each for each in Republish.objects.filter(status=Republish.Status.RUNNING)}
    outbox = _outbox()
    found = []
    for env in environments:
        stores = settings.SPENDOPS.stores[env]
        read = next((store.id for store in stores if store.readable), "")
        found.append(
            EnvironmentHealth(
                env=env,
                stores=[
                    StoreHealth(
                        store=store,
                        read_by_gateways=store.id == read,
                        waiting=behind.number,
                        failing=behind.failing,
                        behind_ms=_age(behind.oldest, now),
                        parked=parked.get((env, store.id), 0),
                        held=held.get((env, store.id), 0),
                        documents=documents.get((env, store.id), 0),
                        last_write=_last_write(store),
                        lease=states.get(leases.name_of(store)) or PublisherLease(),
                        last_look=_last_look(store),
                        held_look=_held_look(store),
                    )
                    for store in stores
                    for behind in (_waiting(store),)
                ],
                to_render=outbox.number,
                to_render_ms=_age(outbox.oldest, now),
                republish=running.get(env),
            )
        )
    return found


def lag_of(env: str) -> Lag:
    """One environment's lag, in documents of all its stores and changes still to be rendered."""
    stores = settings.SPENDOPS.stores[env]
    behind = [_outbox(), *map(_waiting, stores)]
    oldest = min((each.oldest for each in behind if each.oldest), default=None)
    failed = PublisherLease.objects.filter(namespace__in=[leases.name_of(store) for store in stores]).exclude(error="")
    return Lag(
        env=env,
        waiting=sum(each.number for each in behind),
        failing=sum(each.failing for each in behind),
        age_ms=_age(oldest, timezone.now()),
        error=" ".join(lease.error for lease in failed.order_by("namespace")),
    )


def unpublished() -> QuerySet[KvEntry]:
    """What is on its way: by the partial index, so that its cost is that of what is waiting."""
    return KvEntry.objects.filter(published_rev__lt=F("rev"), parked=False)


def kept(name: str, ask: Callable[[], Answer], *, seconds: int) -> Answer:
    """An answer that may be some seconds old. That there is nothing yet is cheap to find, and asked each time."""
    found: Answer | None = cache.get(name)
    if found:
        return found
    answer = ask()
    if answer:
        cache.set(name, answer, seconds)
    return answer


def _waiting(store: Store) -> _Waiting:
    """Few are counted from the index's own order, which costs what they are; only many are worth an aggregate: engines
    cannot guess how many columns differ from others, and PostgreSQL would read the whole table to find none.
    """
    behind = unpublished().filter(env=store.env, store=store.id)
    rows = list(behind.order_by("-urgent", "next_at").values_list("error", "updated_at")[: _FEW + 1])
    if len(rows) <= _FEW:
        failing = sum(bool(error) for error, _ in rows)
        return _Waiting(len(rows), failing, min((since for _, since in rows), default=None))
    found = behind.aggregate(number=Count("id"), failing=Count("id", filter=~Q(error="")), oldest=Min("updated_at"))
    return _Waiting(found["number"], found["failing"], found["oldest"])


def _parked() -> dict[tuple[str, str], int]:
    return _counted(KvEntry.objects.filter(parked=True, held=""))


def _held() -> dict[tuple[str, str], int]:
    return _counted(KvEntry.objects.filter(parked=True).exclude(held=""))


def _documents(seen_by: Sequence[str] | None) -> dict[tuple[str, str], int]:
    def count() -> dict[tuple[str, str], int]:
        entries = KvEntry.objects.exclude(digest="")
        return _counted(entries if seen_by is None else entries.filter(tenant_id__in=seen_by))

    name = "all" if seen_by is None else ",".join(seen_by)
    return kept(f"publishing.documents.{name}", count, seconds=_COUNT_SECONDS)


def _counted(entries: QuerySet[KvEntry]) -> dict[tuple[str, str], int]:
    rows: Any = entries.values("env", "store").annotate(number=Count("id")).order_by()
    return {(row["env"], row["store"]): row["number"] for row in rows}


def _last_write(store: Store) -> datetime | None:
    written = KvEntry.objects.filter(env=store.env, store=store.id, published_at__isnull=False)
    return written.order_by("-published_at").values_list("published_at", flat=True).first()


def _last_look(store: Store) -> Reconciliation | None:
    return Reconciliation.objects.filter(env=store.env, store=store.id).order_by("-at", "-id").first()


def _held_look(store: Store) -> Reconciliation | None:
    found = latest(store.env, store.id)
    held = found is not None and found.status == Reconciliation.Status.HELD and found.confirmed_at is None
    return found if held else None


def _outbox() -> _Waiting:
    rows = OutboxRow.objects.filter(Q(due_at__lte=timezone.now()) | Q(attempts__gt=0))
    found = rows.aggregate(number=Count("id"), failing=Count("id", filter=~Q(error="")), oldest=Min("created_at"))
    return _Waiting(found["number"], found["failing"], found["oldest"])


def _age(oldest: datetime | None, now: datetime) -> int:
    return max(0, (now - oldest) // timedelta(milliseconds=1)) if oldest else 0
