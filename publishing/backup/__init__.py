"""A namespace as a file, and back: `manage.py kv_backup`, `manage.py kv_restore`."""
