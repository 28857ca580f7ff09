"""Every change of tenants, projects and keys: one transaction each, recorded with who made it."""
