"""Queues that carry events from gateways to consumers: at least once, in no promised order."""
