"""What providers and models are: described by a source and by ours, and by hand where a person knows better."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from pricing.facts import FACTS, Fact, bundled_facts, fact_from_text
from pricing.models import Model, Provider
from pricing.sources.base import Catalogue, ListedModel
from tenants.errors import Fault, ManyRefusedError, RefusedError

_MODEL_FIELDS = ("name", "description", "note", "deprecated", "gone", "facts", *FACTS)
_PROVIDER_FIELDS = ("name", "description", "note", "pricing_urls", "api_pattern", "provider_match", "gone")

BY_HAND = "by hand"


def describe_catalogue(catalogue: Catalogue, now: datetime, *, held: Collection[tuple[str, str]]) -> int:
    """Write down who the providers and what the models are; returns how many descriptions changed.

    Models outside of `held`, the price book to come, are written down as gone until somebody publishes their prices.
    """
    return _describe_providers(catalogue, now, {provider for provider, _ in held}) + _describe_models(
        catalogue, now, held
    )


def describe_model(*, model: Model, by: Actor, facts: dict[str, str], note: str = "") -> Model:
    """Set facts of a model by hand, as typed; "" gives a fact back to the sources, from the next sync on.

    No sync changes what was set by hand. Raises ManyRefusedError for what cannot be such a fact.
    """
    faults, values = [], {}
    for number, (name, text) in enumerate(facts.items(), start=1):
        try:
            values[name] = fact_from_text(name, text)
        except ValueError as error:
            faults.append(Fault(number, name, str(error)))
    if faults:
        raise ManyRefusedError(faults)
    if not values:
        raise RefusedError("Nothing was changed: give at least one fact.")
    with transaction.atomic():
        model = Model.objects.select_for_update().get(pk=model.pk)
        before = {name: _as_text(getattr(model, name)) for name in values}
        today = timezone.now().date()
        for name, value in values.items():
            setattr(model, name, value)
            if facts[name].strip():
                model.facts[name] = {"source": BY_HAND, "seen": str(today), "by": by.id, "note": note[:300]}
            else:
                model.facts.pop(name, None)
        model.save(update_fields=[*values, "facts"])
        record(
            "model.described",
            by=by,
            tenant="",
            target_kind="model",
            target_id=str(model),
            before=before,
            after={name: _as_text(value) for name, value in values.items()},
        )
    return model


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, date) else value


def _describe_providers(catalogue: Catalogue, now: datetime, held: Collection[str]) -> int:
    existing = {row.id: row for row in Provider.objects.all()}
    new, changed = [], []
    for listed in catalogue.providers:
        values = {
            "name": listed.name,
            "description": listed.description,
            "note": listed.note,
            "pricing_urls": list(listed.pricing_urls),
            "api_pattern": listed.api_pattern,
            "provider_match": listed.provider_match,
            "gone": False,
        }
        row = existing.pop(listed.id, None)
        if row is None:
            new.append(Provider(id=listed.id, last_seen=now, **values))
        elif _assign(row, values):
            changed.append(row)
    changed += [row for row in existing.values() if _assign(row, {"gone": row.id not in held})]
    Provider.objects.bulk_create(new)
    Provider.objects.bulk_update(changed, _PROVIDER_FIELDS)
    Provider.objects.filter(id__in=[each.id for each in catalogue.providers]).update(last_seen=now)
    return len(new) + len(changed)


def _describe_models(catalogue: Catalogue, now: datetime, held: Collection[tuple[str, str]]) -> int:
    existing = {(row.provider_id, row.model_id): row for row in Model.objects.all()}
    ours = bundled_facts()
    new, changed, seen = [], [], []
    for provider_id, listed in _models(catalogue):
        key = (provider_id, listed.id)
        row = existing.pop(key, None)
        said = {
            "name": listed.name,
            "description": listed.description,
            "note": listed.note,
            "deprecated": listed.prices.deprecated,
            "gone": key not in held,
        }
        values = said | _facts(catalogue, listed, ours.get(key, {}), row, now.date())
        if row is None:
            new.append(Model(provider_id=provider_id, model_id=listed.id, first_seen=now, last_seen=now, **values))
            continue
        seen.append(row.pk)
        if _assign(row, values):
            changed.append(row)
    changed += [row for key, row in existing.items() if _assign(row, {"gone": key not in held})]
    Model.objects.bulk_create(new, batch_size=500)
    Model.objects.bulk_update(changed, _MODEL_FIELDS, batch_size=100)
    Model.objects.filter(pk__in=seen).update(last_seen=now)
    return len(new) + len(changed)


def _facts(
    catalogue: Catalogue, listed: ListedModel, ours: dict[str, Fact], row: Model | None, today: date
) -> dict[str, Any]:
    """A model's facts, each with where it is from: a person's first, then the source's, then those that we bring."""
    kept = row.facts if row else {}
    values: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for name, empty in FACTS.items():
        said = getattr(listed, name, None)
        if isinstance(said, tuple):
            said = list(said)
        by_hand = kept.get(name, {})
        if row is not None and by_hand.get("source") == BY_HAND:
            values[name], facts[name] = getattr(row, name), by_hand
        elif said:
            known = row is not None and getattr(row, name) == said and by_hand.get("source") == catalogue.source
            values[name] = said
            facts[name] = by_hand if known else {"source": catalogue.source, "seen": str(today)}
        elif name in ours:
            values[name] = ours[name].value
            facts[name] = {"source": ours[name].source, "seen": ours[name].seen}
        else:
            values[name] = empty() if callable(empty) else empty
    return values | {"facts": facts}


def _models(catalogue: Catalogue) -> Iterable[tuple[str, ListedModel]]:
    return ((provider.id, model) for provider in catalogue.providers for model in provider.models)


def _assign(row: Model | Provider, values: dict[str, Any]) -> bool:
    """Set what differs; returns whether anything did."""
    differing = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in differing.items():
        setattr(row, name, value)
    return bool(differing)
