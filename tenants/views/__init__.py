"""Pages of keys, projects and a tenant's settings."""
