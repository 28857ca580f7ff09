"""Reads of the KV ledger: how far behind stores are, what was written and why, what a document says, what is wrong."""

from publishing.queries.health import Lag, lag_of

__all__ = ["Lag", "lag_of"]
