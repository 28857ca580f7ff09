"""The ground floor: what the management plane and the gateway agree on.

Pure Python, no Django. Documents in KV, events on queues, money, prices and cost; the stores and queues
that carry them. Nothing here imports anything above it.
"""
