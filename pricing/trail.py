"""The audit trail's words for prices."""

from __future__ import annotations

from changes.trail import Noun, register

register(
    nouns={"price_book": Noun("Price book")},
    sentences={
        "catalogue.described": "{actor} brought {after[descriptions]} descriptions of models up to date",
        "prices.synced": "{actor} brought prices up to date: price book {target}, {after[changed]} changed",
    },
)
