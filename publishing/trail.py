"""The audit trail's words for publishing."""

from __future__ import annotations

from changes.trail import Noun, register

register(
    nouns={"kv_entry": Noun("KV document")},
    sentences={
        "kv_entry.retried": "{actor} had the document {target} sent again",
        "outbox.retried": "{actor} had {target} rendered again",
    },
)
