"""The price book that comes next: what is held now with the changes of one action, as a new version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.utils import timezone

from changes.actor import Actor
from changes.record import Publish, Topic, record
from pricing.models import MatchRules, Model, ModelPrice, PriceBook
from pricing.sources.base import Report, figures
from tenants.errors import RefusedError, StatusError
from wire.prices import ModelPrices, ProviderRules

Key = tuple[str, str]  # provider, model


class PricesBusyError(StatusError):
    """Somebody else made a price book at the same moment; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("Somebody else changed prices at the same time: nothing was changed. Do it again.")


class Origin(NamedTuple):
    """Where prices are from."""

    source: str
    source_version: str = ""
    url: str = ""


class Draft:
    """Holds the newest price book's row, so that one action at a time makes the next. Needs an open transaction.

    Raises PricesBusyError when another action made a book while this one waited for the row.
    """

    def __init__(self) -> None:
        self.latest = PriceBook.objects.select_for_update().order_by("-version").first()
        newest = PriceBook.objects.order_by("-version").values_list("version", flat=True).first()
        if self.latest is not None and newest != self.latest.version:
            raise PricesBusyError
        rows = ModelPrice.objects.filter(last_version=None).select_related("model")
        self._rows = {(row.model.provider_id, row.model.model_id): row for row in rows}
        self._rule_rows = {row.provider_id: row for row in MatchRules.objects.filter(last_version=None)}
        self.held: Mapping[Key, ModelPrices] = {key: row.decoded() for key, row in self._rows.items()}
        in_order = sorted(self._rule_rows.values(), key=lambda row: row.position)
        self.held_rules: Mapping[str, ProviderRules] = {row.provider_id: row.decoded() for row in in_order}
        self.prices: dict[Key, ModelPrices] = dict(self.held)
        self.rules: dict[str, ProviderRules] = dict(self.held_rules)
        self._origins: dict[Key, Origin] = {}

    def put(self, key: Key, prices: ModelPrices, origin: Origin) -> None:
        """Give a model these prices. Its row of the catalogue must be there when the book is published."""
        self.prices[key] = prices
        self._origins[key] = origin

    def remove(self, key: Key) -> None:
        """Take a model out of the book, and the rules that lead to it."""
        del self.prices[key]
        provider, model = key
        rules = self.rules.get(provider)
        if rules is not None:
            kept = tuple(rule for rule in rules.rules if rule[1] != model)
            self.rules[provider] = msgspec.structs.replace(rules, rules=kept)

    def origin_of(self, key: Key) -> str:
        """The source of the held prices of a model, "" when it has none."""
        return self._rows[key].source if key in self._rows else ""

    @property
    def changed(self) -> bool:
        """Whether there is anything to publish."""
        return self.prices != self.held or list(self.rules.items()) != list(self.held_rules.items())

    def publish_book(
        self,
        kind: str,
        *,
        origin: Origin,
        by: Actor,
        now: datetime | None = None,
        report: Report | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> PriceBook:
        """Write the next version, close what it replaces, and record it as an event of this kind.

        The caller has seen to it that something changed. Raises RefusedError when a rule would lead nowhere.
        """
        self._check_rules()
        now = now or timezone.now()
        book = self._new_book(origin, now, report)
        self._version_prices(book, origin)
        self._version_rules(book)
        latest = self.latest
        record(
            kind,
            by=by,
            tenant="",
            target_kind="price_book",
            target_id=str(book.version),
            before={"version": latest.version, "digest": latest.digest} if latest else None,
            after={
                "version": book.version,
                "digest": book.digest,
                "source": origin.source,
                "source_version": origin.source_version,
                "models": book.model_count,
                **(after or {}),
            },
            publish=[Publish(Topic.PRICING, "blob")],
        )
        return book

    def _check_rules(self) -> None:
        for provider, rules in self.rules.items():
            for _, model in rules.rules:
                if (provider, model) not in self.prices:
                    raise RefusedError(
                        f"A rule of {provider} leads to {model}, which has no prices in this price book."
                    )

    def _new_book(self, origin: Origin, now: datetime, report: Report | None) -> PriceBook:
        latest = self.latest
        kept = as_json(report) if report is not None else latest.report if latest else as_json(Report())
        return PriceBook.objects.create(
            version=latest.version + 1 if latest else 1,
            created_at=now,
            checked_at=now,
            source=origin.source,
            source_version=origin.source_version,
            digest=self._digest(),
            model_count=len(self.prices),
            provider_count=len(self.rules),
            figure_count=sum(figures(prices) for prices in self.prices.values()),
            rounded_count=len(kept.get("rounded", ())),
            unexpressed_count=len(kept.get("unexpressed", ())),
            report=kept,
        )

    def _digest(self) -> str:
        """SHA-256 of all prices and rules, and of the order of providers."""
        models: dict[str, dict[str, ModelPrices]] = {}
        for (provider, model), prices in self.prices.items():
            models.setdefault(provider, {})[model] = prices
        content = [(provider, rules, models.get(provider, {})) for provider, rules in self.rules.items()]
        return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()

    def _version_prices(self, book: PriceBook, origin: Origin) -> None:
        differing = {key for key, prices in self.prices.items() if self.held.get(key) != prices}
        closed = [row.pk for key, row in self._rows.items() if key in differing or key not in self.prices]
        ModelPrice.objects.filter(pk__in=closed).update(last_version=self.latest)
        ids = {(provider, model): pk for pk, provider, model in self._ids()} if differing else {}
        rows = []
        for key in self.prices:  # in the order in which they were put, which is the source's
            if key not in differing:
                continue
            of = self._origins.get(key, origin)
            rows.append(
                ModelPrice(
                    model_id=ids[key],
                    prices=as_json(self.prices[key]),
                    source=of.source,
                    source_version=of.source_version,
                    source_url=of.url,
                    seen_at=book.created_at,
                    first_version=book,
                )
            )
        ModelPrice.objects.bulk_create(rows, batch_size=500)

    def _ids(self) -> Iterator[tuple[int, str, str]]:
        return iter(Model.objects.values_list("pk", "provider_id", "model_id"))

    def _version_rules(self, book: PriceBook) -> None:
        rows, closed = [], []
        for position, (provider, rules) in enumerate(self.rules.items()):
            holds = self._rule_rows.get(provider)
            if holds is not None:
                if holds.position == position and self.held_rules[provider] == rules:
                    continue
                closed.append(holds.pk)
            rows.append(
                MatchRules(
                    provider_id=provider,
                    position=position,
                    rules=as_json(rules),
                    seen_at=book.created_at,
                    first_version=book,
                )
            )
        closed += [row.pk for provider, row in self._rule_rows.items() if provider not in self.rules]
        MatchRules.objects.filter(pk__in=closed).update(last_version=self.latest)
        MatchRules.objects.bulk_create(rows)


def as_json(value: msgspec.Struct) -> Any:
    """A structure as SQL keeps it."""
    return msgspec.json.decode(msgspec.json.encode(value))
