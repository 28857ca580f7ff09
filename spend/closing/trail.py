"""The audit trail's words for sealed months."""

from __future__ import annotations

from changes.trail import Noun, register

register(
    nouns={"month": Noun("Month")},
    sentences={
        "month.sealing_begun": "{actor} began to seal {target}",
        "month.sealed": "{actor} sealed {target} with statement {after[number]}",
    },
    labels={"sha256": "Checksum (SHA-256)", "complete_at": "Complete until"},
)
