"""The audit trail's words for publishing."""

from __future__ import annotations

from changes.trail import Noun, register

register(
    nouns={
        "kv_entry": Noun("KV document"),
        "kv_environment": Noun("Environment in KV"),
        "kv_namespace": Noun("KV namespace"),
    },
    sentences={
        "kv_entry.retried": "{actor} had the document {target} sent again",
        "kv_entry.all_retried": "{actor} had all {target} documents sent again: {after[documents]}",
        "kv_entry.confirmed": "{actor} confirmed that {target} is published although a guard held it",
        "kv_namespace.repaired": "{actor} repaired {target}: {after[absent]} documents were missing, "
        "{after[different]} different, {after[foreign]} foreign",
        "kv_namespace.held": "{actor} left {target} as it is until somebody confirms: {after[absent]} documents are "
        "missing, {after[different]} different, {after[foreign]} foreign",
        "kv_namespace.confirmed": "{actor} confirmed that {target} is repaired: {after[absent]} documents are missing, "
        "{after[different]} different, {after[foreign]} foreign",
        "kv_namespace.comparison_asked": "{actor} had {target} compared with SQL",
        "kv_namespace.restored": "{actor} restored {target} from a backup of {after[made_at]}",
        "outbox.retried": "{actor} had {target} rendered again",
        "kv.republish_started": "{actor} has everything in {target} published anew: {after[documents]} documents",
        "kv.republish_stopped": "{actor} stopped publishing everything in {target} anew after {after[documents]} "
        "documents",
        "kv.republish_ended": "{actor} has published everything in {target} anew: {after[documents]} documents",
    },
)
