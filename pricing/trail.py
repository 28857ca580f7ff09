"""The audit trail's words for prices."""

from __future__ import annotations

from collections.abc import Collection

from changes.trail import Names, Noun, register
from pricing.models import Override
from pricing.state.door import ACTOR_KIND


def _names(ids: Collection[str]) -> Names:
    return dict(Override.objects.filter(pk__in=ids).values_list("pk", "name"))


def _find(text: str) -> Collection[str]:
    return list(Override.objects.filter(name__icontains=text).values_list("pk", flat=True)[:200])


register(
    nouns={
        "price_book": Noun("Price book"),
        "price_sync": Noun("Change set of prices"),
        "model": Noun("Model"),
        "hand_price": Noun("Price by hand"),
        "exchange_rates": Noun("Exchange rates"),
        "override": Noun("Override", _names, _find, fields=("override",)),
        "selection": Noun("Selection"),
        ACTOR_KIND: Noun("Service", lambda ids: dict.fromkeys(ids, "The state service")),
    },
    sentences={
        "catalogue.described": "{actor} brought {after[descriptions]} descriptions of models up to date",
        "exchange_rates.added": "{actor} added {after[rates]} exchange rates, the newest of {target}",
        "model.described": "{actor} described the model {target}",
        "override.archived": "{actor} archived the override {target}",
        "override.changed": "{actor} changed the override {target}",
        "override.created": "{actor} created the override {target}",
        "overrides.imported": "{actor} added {after[overrides]} overrides from a list",
        "prices.approved": "{actor} approved change set {after[change_set]}: price book {target}",
        "prices.by_hand": "{actor} {after[what]} a price by hand: price book {target}",
        "prices.cross_checked": "{actor} compared price book {target} with {after[table]}: {after[disagreeing]} differ",
        "prices.proposed": "{actor} found {after[waiting]} changes that wait for a person: change set {target}",
        "prices.rejected": "{actor} rejected change set {target}",
        "prices.synced": "{actor} brought prices up to date: price book {target}, {after[changed]} changed",
        "selection.cleared": "{actor} cleared the selection {target}, which was {before[model]}",
        "selection.made": "{actor} selected {after[model]} for {target}",
    },
)
