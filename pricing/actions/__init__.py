"""Every change of the catalogue and its prices: one transaction each, recorded with who made it."""
