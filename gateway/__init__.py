"""The data plane: a pure ASGI program that authenticates, forwards, meters and reports calls to AI providers.

It reads policy and prices from KV only, writes events to queues only, and knows nothing of SQL or ClickHouse.
"""
