"""The audit trail's words for publishing."""

from __future__ import annotations

from changes.trail import Noun, register

register(
    nouns={"kv_entry": Noun("KV document"), "kv_environment": Noun("Environment in KV")},
    sentences={
        "kv_entry.retried": "{actor} had the document {target} sent again",
        "outbox.retried": "{actor} had {target} rendered again",
        "kv.republish_started": "{actor} has everything in {target} published anew: {after[documents]} documents",
        "kv.republish_stopped": "{actor} stopped publishing everything in {target} anew after {after[documents]} "
        "documents",
        "kv.republish_ended": "{actor} has published everything in {target} anew: {after[documents]} documents",
    },
)
