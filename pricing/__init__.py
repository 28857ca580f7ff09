"""Catalogue, price versions, sync, and the explanation of every cost."""
