"""The audit trail's words for prices."""

from __future__ import annotations

from changes.trail import Noun, register

register(
    nouns={"price_book": Noun("Price book"), "exchange_rates": Noun("Exchange rates")},
    sentences={
        "catalogue.described": "{actor} brought {after[descriptions]} descriptions of models up to date",
        "exchange_rates.added": "{actor} added {after[rates]} exchange rates, the newest of {target}",
        "prices.synced": "{actor} brought prices up to date: price book {target}, {after[changed]} changed",
    },
)
