"""The data plane: a pure ASGI program. Reads KV only, writes queues only; never Django, SQL or ClickHouse."""
