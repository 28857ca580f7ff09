"""Writes of the catalogue and its prices."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.db import IntegrityError, transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import Publish, Topic, record
from pricing.models import MatchRules, Model, ModelPrice, PriceBook, Provider
from pricing.rules import FALL_MOST_PERCENT, fall_percent, falls_too_far
from pricing.sources.base import Catalogue, ListedModel, Source, SourceError, check

_MODEL_FIELDS = ("name", "description", "note", "context_window", "deprecated", "gone")
_PROVIDER_FIELDS = ("name", "description", "note", "pricing_urls", "api_pattern", "provider_match", "gone")


class SyncRefusedError(SourceError):
    """A sync was not carried out, so that a broken source cannot take prices away."""


class Synced(NamedTuple):
    """What a sync did: the price book that holds now, and how many models' prices are new, changed or gone."""

    book: PriceBook
    changed: bool
    new_prices: int = 0
    changed_prices: int = 0
    gone_prices: int = 0


def sync_prices(source: Source, *, by: Actor, accept_fewer: bool = False) -> Synced:
    """Bring the catalogue up to what a source lists. A new version is made only when prices or rules differ.

    Raises SourceError when the source is empty or broken, and SyncRefusedError when more than a tenth of the models
    would go, unless `accept_fewer`. Then nothing is changed.
    """
    catalogue = source.read()
    check(catalogue)
    now = timezone.now()
    try:
        with transaction.atomic():
            latest = PriceBook.objects.select_for_update().order_by("-version").first()
            if latest is not None and not accept_fewer:
                _refuse_fall(latest, catalogue)
            described = _describe_providers(catalogue, now) + _describe_models(catalogue, now)
            digest = catalogue.digest()
            if latest is not None and latest.digest == digest:
                # when a source was last asked is no change of anything: it leaves no audit event behind
                PriceBook.objects.filter(version=latest.version).update(checked_at=now)
                latest.checked_at = now
                if described:
                    _record_description(latest, described, by)
                return Synced(latest, changed=False)
            book = _new_book(latest, catalogue, digest, now)
            counts = _version_prices(catalogue, book, latest)
            _version_rules(catalogue, book, latest)
            _record_book(book, latest, counts, by)
            return Synced(book, True, *counts)
    except IntegrityError as error:
        raise SyncRefusedError(
            "Another sync was writing at the same time: nothing was changed. Run it again."
        ) from error


def _refuse_fall(latest: PriceBook, catalogue: Catalogue) -> None:
    had, lists = latest.model_count, catalogue.model_count
    if falls_too_far(had, lists):
        raise SyncRefusedError(
            f"{catalogue.source} {catalogue.source_version} lists {lists:,} models where price book {latest.version} "
            f"has {had:,}: {fall_percent(had, lists)} % fewer, and a sync takes away {FALL_MOST_PERCENT} % at most. "
            "Nothing was changed. If the models are really gone, run manage.py sync_prices --accept-fewer."
        )


def _new_book(latest: PriceBook | None, catalogue: Catalogue, digest: str, now: datetime) -> PriceBook:
    report = catalogue.report
    return PriceBook.objects.create(
        version=latest.version + 1 if latest else 1,
        created_at=now,
        checked_at=now,
        source=catalogue.source,
        source_version=catalogue.source_version,
        digest=digest,
        model_count=catalogue.model_count,
        provider_count=len(catalogue.providers),
        figure_count=catalogue.figure_count,
        rounded_count=len(report.rounded),
        unexpressed_count=len(report.unexpressed),
        report=_json(report),
    )


def _describe_providers(catalogue: Catalogue, now: datetime) -> int:
    """Write down who the providers are; returns how many descriptions changed."""
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
    changed += [row for row in existing.values() if _assign(row, {"gone": True})]
    Provider.objects.bulk_create(new)
    Provider.objects.bulk_update(changed, _PROVIDER_FIELDS)
    Provider.objects.filter(gone=False).update(last_seen=now)
    return len(new) + len(changed)


def _describe_models(catalogue: Catalogue, now: datetime) -> int:
    """Write down what the models are; returns how many descriptions changed."""
    existing = {(row.provider_id, row.model_id): row for row in Model.objects.all()}
    new, changed = [], []
    for provider_id, listed in _models(catalogue):
        values = {
            "name": listed.name,
            "description": listed.description,
            "note": listed.note,
            "context_window": listed.context_window,
            "deprecated": listed.prices.deprecated,
            "gone": False,
        }
        row = existing.pop((provider_id, listed.id), None)
        if row is None:
            new.append(Model(provider_id=provider_id, model_id=listed.id, first_seen=now, last_seen=now, **values))
        elif _assign(row, values):
            changed.append(row)
    changed += [row for row in existing.values() if _assign(row, {"gone": True})]
    Model.objects.bulk_create(new, batch_size=500)
    Model.objects.bulk_update(changed, _MODEL_FIELDS, batch_size=100)
    Model.objects.filter(gone=False).update(last_seen=now)
    return len(new) + len(changed)


def _version_prices(catalogue: Catalogue, book: PriceBook, latest: PriceBook | None) -> tuple[int, int, int]:
    """Close the prices that no longer hold and add those that hold from now; returns (new, changed, gone)."""
    current = {
        (row.model.provider_id, row.model.model_id): row
        for row in ModelPrice.objects.filter(last_version=None).select_related("model")
    }
    model_ids = {
        (provider, model): pk for pk, provider, model in Model.objects.values_list("pk", "provider_id", "model_id")
    }
    urls = {provider.id: next(iter(provider.pricing_urls), "") for provider in catalogue.providers}
    rows, closed, new = [], [], 0
    for provider_id, listed in _models(catalogue):
        key = (provider_id, listed.id)
        holds = current.pop(key, None)
        if holds is not None and holds.decoded() == listed.prices:
            continue
        if holds is None:
            new += 1
        else:
            closed.append(holds.pk)
        rows.append(
            ModelPrice(
                model_id=model_ids[key],
                prices=_json(listed.prices),
                source=catalogue.source,
                source_version=catalogue.source_version,
                source_url=urls[provider_id],
                seen_at=book.created_at,
                first_version=book,
            )
        )
    gone = [row.pk for row in current.values()]
    ModelPrice.objects.filter(pk__in=closed + gone).update(last_version=latest)
    ModelPrice.objects.bulk_create(rows, batch_size=500)
    return new, len(closed), len(gone)


def _version_rules(catalogue: Catalogue, book: PriceBook, latest: PriceBook | None) -> None:
    current = {row.provider_id: row for row in MatchRules.objects.filter(last_version=None)}
    rows, closed = [], []
    for position, listed in enumerate(catalogue.providers):
        holds = current.pop(listed.id, None)
        if holds is not None:
            if holds.position == position and holds.decoded() == listed.rules:
                continue
            closed.append(holds.pk)
        rows.append(
            MatchRules(
                provider_id=listed.id,
                position=position,
                rules=_json(listed.rules),
                seen_at=book.created_at,
                first_version=book,
            )
        )
    closed += [row.pk for row in current.values()]
    MatchRules.objects.filter(pk__in=closed).update(last_version=latest)
    MatchRules.objects.bulk_create(rows)


def _record_book(book: PriceBook, latest: PriceBook | None, counts: tuple[int, int, int], by: Actor) -> None:
    new, changed, gone = counts
    record(
        "prices.synced",
        by=by,
        tenant="",
        target_kind="price_book",
        target_id=str(book.version),
        before={"version": latest.version, "digest": latest.digest} if latest else None,
        after={
            "version": book.version,
            "digest": book.digest,
            "source": book.source,
            "source_version": book.source_version,
            "models": book.model_count,
            "new": new,
            "changed": changed,
            "gone": gone,
        },
        publish=[Publish(Topic.PRICING, "blob")],
    )


def _record_description(book: PriceBook, described: int, by: Actor) -> None:
    """Names, notes and context windows changed, prices did not: there is nothing to publish."""
    record(
        "catalogue.described",
        by=by,
        tenant="",
        target_kind="price_book",
        target_id=str(book.version),
        after={"descriptions": described},
    )


def _models(catalogue: Catalogue) -> Iterable[tuple[str, ListedModel]]:
    return ((provider.id, model) for provider in catalogue.providers for model in provider.models)


def _assign(row: Model | Provider, values: dict[str, Any]) -> bool:
    """Set what differs; returns whether anything did."""
    differing = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in differing.items():
        setattr(row, name, value)
    return bool(differing)


def _json(value: msgspec.Struct) -> Any:
    """A structure as SQL keeps it."""
    return msgspec.json.decode(msgspec.json.encode(value))
