"""Exports: files of spend, usage and denials. `wanted` says what is in one, `run` writes it."""
