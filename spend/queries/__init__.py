"""What is asked of ClickHouse: one question a file.

A tenant's days come from `usage_daily`; single calls, hours and other zones from `usage_events FINAL`.
"""
