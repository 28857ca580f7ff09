"""The audit trail's words for cost centres."""

from __future__ import annotations

from changes.trail import Noun, register

register(
    nouns={"cost_centres": Noun("Cost centres")},
    sentences={"cost_centres.changed": "{actor} changed the rules of cost centres: version {after[version]}"},
)
