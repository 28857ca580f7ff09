"""Providers' invoices beside our own sums, and what each difference is (docs/imports.md)."""
