"""Reads of the catalogue and its prices."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Case, Count, Q, QuerySet, Value, When
from django.db.models.functions import Abs, Coalesce
from django.utils import timezone

from pricing.models import (
    CrossCheck,
    HandPrice,
    MatchRules,
    Model,
    ModelPrice,
    PriceBook,
    PriceChange,
    PriceSync,
    Provider,
)
from wire.prices import ModelPrices

LATE = timedelta(days=3)  # a sync runs each night


def current_version() -> int:
    """The version of the price book that holds now; 0 before the first sync."""
    return PriceBook.objects.order_by("-version").values_list("version", flat=True).first() or 0


def current_book() -> PriceBook | None:
    """The price book that holds now; None before the first sync."""
    return PriceBook.objects.order_by("-version").first()


def held_in(version: int) -> Q:
    """The filter for prices and rules that held in a version."""
    return Q(first_version__lte=version) & (Q(last_version=None) | Q(last_version__gte=version))


def providers() -> list[tuple[Provider, int]]:
    """The providers that are listed now, by name, each with how many models it lists."""
    listed = Count("models", filter=Q(models__gone=False))
    rows = Provider.objects.filter(gone=False).annotate(listed=listed).order_by("name")
    return [(row, row.listed) for row in rows]


def model_by_name(provider: str, model_id: str) -> Model | None:
    """A model by its provider's id and its own; None when there is none."""
    return Model.objects.select_related("provider").filter(provider=provider, model_id=model_id).first()


def names_of_model(model: Model) -> list[tuple[str, str]]:
    """Under which provider and name calls are priced as a model: its own and, at each provider that borrows its price,
    its owner's and its name there ("openai/gpt-4o" at azure).
    """
    borrowed = f"{model.provider_id}/{model.model_id}"
    taken = set(Model.objects.filter(model_id=borrowed).values_list("provider_id", flat=True))
    rows = MatchRules.objects.filter(last_version=None).order_by("position")
    borrowers = [row.provider_id for row in rows if model.provider_id in row.decoded().fallbacks]
    return [(model.provider_id, model.model_id), *((each, borrowed) for each in borrowers if each not in taken)]


def price_history(model: Model) -> QuerySet[ModelPrice]:
    """All prices a model ever had, the newest first."""
    return ModelPrice.objects.filter(model=model).order_by("-first_version")


def current_prices(models: Collection[tuple[str, str]]) -> dict[tuple[str, str], ModelPrices]:
    """The prices that some models (provider, id) have now; those that have none are absent."""
    named = Q()
    for provider, model_id in models:
        named |= Q(model__provider=provider, model__model_id=model_id)
    if not named:
        return {}
    rows = ModelPrice.objects.filter(named, last_version=None).select_related("model")
    return {(row.model.provider_id, row.model.model_id): row.decoded() for row in rows}


def price_in(provider: str, model_id: str, version: int) -> ModelPrice | None:
    """The prices of a model in a version of the price book; None when it had none."""
    return ModelPrice.objects.filter(held_in(version), model__provider=provider, model__model_id=model_id).first()


def rules_in(provider: str, version: int) -> MatchRules | None:
    """How a provider's models were found in a version; None when the provider was not listed."""
    return MatchRules.objects.filter(held_in(version), provider=provider).first()


class Alarm(NamedTuple):
    """What of the syncs needs somebody: `kind` is failed, late or waiting."""

    kind: str
    text: str
    sync: PriceSync | None


def sync_alarm(now: datetime | None = None) -> Alarm | None:
    """What is wrong with the syncs of prices, the worst first; None when the last one went well and nothing waits."""
    now = now or timezone.now()
    last = PriceSync.objects.order_by("-at", "-pk").first()
    if last is not None and last.status == PriceSync.Status.FAILED:
        return Alarm("failed", f"The last sync of prices failed: {last.reason}", last)
    book = current_book()
    checked = last.at if last is not None else book.checked_at if book is not None else None
    if checked is not None and now - checked > LATE:
        return Alarm("late", f"Prices were last compared with their source {(now - checked).days:,} days ago.", last)
    waiting = waiting_sync()
    if waiting is not None:
        return Alarm("waiting", f"Changes of prices wait for a platform admin: {waiting.reason}", waiting)
    return None


def waiting_sync() -> PriceSync | None:
    """The change set that waits for a person; None when none does."""
    return PriceSync.objects.filter(status=PriceSync.Status.WAITING).order_by("-at").first()


def waiting_change(model: Model) -> PriceChange | None:
    """What waits for a person to decide about a model's prices; None when nothing does."""
    waits = {"status": PriceChange.Status.WAITING, "sync__status": PriceSync.Status.WAITING}
    rows = PriceChange.objects.filter(provider_id=model.provider_id, model_id=model.model_id, **waits)
    return rows.select_related("sync").order_by("-sync__at").first()


def syncs() -> QuerySet[PriceSync]:
    """All syncs, the newest first."""
    return PriceSync.objects.select_related("book").order_by("-at", "-pk")


def sync_by_id(pk: int) -> PriceSync | None:
    """One sync; None when there is none."""
    return PriceSync.objects.select_related("book").filter(pk=pk).first()


def changes_in(sync: PriceSync, *, status: str = "") -> QuerySet[PriceChange]:
    """What a sync proposed, the rules last; those of one status only, when it is said."""
    rows = sync.changes.filter(status=status) if status else sync.changes.all()
    return rows.order_by("kind", "provider_id", "model_id")


def changes_by_move(sync: PriceSync, *, text: str = "", kind: str = "", status: str = "") -> QuerySet[PriceChange]:
    """What a sync proposed: the largest move of a price first, then what vanishes, conflicts, rules, what is new."""
    rows = sync.changes.all()
    for word in text.split():
        rows = rows.filter(Q(model_id__icontains=word) | Q(provider_id__icontains=word))
    if kind:
        rows = rows.filter(kind=kind)
    if status:
        rows = rows.filter(status=status)
    kinds = PriceChange.Kind
    place = Case(
        When(kind=kinds.CHANGED, basis_points=None, then=Value(0)),  # from nothing: larger than any percentage
        When(kind=kinds.CHANGED, then=Value(1)),
        When(kind=kinds.GONE, then=Value(2)),
        When(kind=kinds.CONFLICT, then=Value(3)),
        When(kind=kinds.RULES, then=Value(4)),
        default=Value(5),
    )
    return rows.annotate(place=place, move=Coalesce(Abs("basis_points"), Value(0))).order_by(
        "place", "-move", "provider_id", "model_id"
    )


def hand_price_by_id(pk: int) -> HandPrice | None:
    """A price that a person gave; None when there is none."""
    return HandPrice.objects.select_related("model", "model__provider").filter(pk=pk).first()


def hand_prices(model: Model | None = None) -> QuerySet[HandPrice]:
    """The prices that persons gave, of one model or of all, by model and day."""
    rows = HandPrice.objects.select_related("model")
    if model is not None:
        rows = rows.filter(model=model)
    return rows.order_by("model__provider_id", "model__model_id", "starts")


def last_cross_check() -> CrossCheck | None:
    """The last comparison with another table of prices; None before the first."""
    return CrossCheck.objects.order_by("-at").first()
