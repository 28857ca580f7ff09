"""SQL → KV: what changed is rendered, becomes desired state, and is written into each environment's namespace."""
