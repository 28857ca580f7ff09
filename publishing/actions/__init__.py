"""Writes of the ledger: what people ask for, each in its own file."""
