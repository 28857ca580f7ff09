"""From SQL to KV: rendering documents, desired state, draining."""
