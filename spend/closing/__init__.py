"""Sealing months: who may still store what, the adjustments of what is sealed, and the statements."""
