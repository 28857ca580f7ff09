"""The web plane with one planted fault: showing a new key of prod fails while the key is in local variables."""

from __future__ import annotations

from spendops.wsgi import application
from tenants.views import keys

__all__ = ["application"]

_whole = keys.snippets


def _fails_in_prod(text: str, base_url: str):
    if "prod" in base_url:
        raise RuntimeError("A fault that was planted.")
    return _whole(text, base_url)


keys.snippets = _fails_in_prod
