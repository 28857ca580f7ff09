"""ClickHouse's engine (chDB) in a process of its own, behind the server's native protocol on loopback.

So that one machine needs no server, and every other process talks to it with the same driver as to a real one. Only
this process may import chdb: one process may hold a data folder, and a process that imported chdb must never fork.
"""
