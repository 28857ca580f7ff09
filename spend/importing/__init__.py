"""Usage that did not pass the gateway: read from files, matched with what did, counted once (docs/imports.md)."""
