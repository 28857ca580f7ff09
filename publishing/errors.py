"""What publishing refuses."""

from __future__ import annotations


class NamespaceRefusedError(Exception):
    """A KV namespace that is not this environment's. Nothing was written; the message says what to do."""
