"""ClickHouse: the one door to it, its schema, and the embedded engine that stands in for a server."""
