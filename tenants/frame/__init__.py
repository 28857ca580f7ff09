"""What every operation of the API has in common: who calls, what is allowed, pages, problems, limits, repeated creates.

An app's `api.py` makes a `Router` and declares its operations with `operation()`; `spendops/api.py` mounts the routers.
"""
