"""The audit trail's words for views that are shared with a tenant."""

from __future__ import annotations

from changes.trail import Noun, register

register(
    nouns={"saved_view": Noun("View of spend")},
    sentences={
        "saved_view.shared": "{actor} shared the view of spend {after[name]} with the tenant",
        "saved_view.changed": "{actor} changed the shared view of spend {after[name]}",
        "saved_view.unshared": "{actor} took back the shared view of spend {before[name]}",
        "saved_view.deleted": "{actor} deleted the shared view of spend {before[name]}",
    },
    labels={"shared": "Shared", "query": "Address"},
)
