"""Audit events and outbox rows, and `record()`, the one call that writes both in the caller's transaction."""
