"""What every page's frame shows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

NAVIGATION = (
    ("Spend", "spend:overview"),
    ("Requests", "spend:requests"),
    ("Denials", "spend:denials"),
    ("Budgets", "budgets:list"),
    ("Projects", "tenants:projects"),
    ("API keys", "tenants:keys"),
    ("Pricing", "pricing:catalogue"),
    ("Alerts", "alerts:outbox"),
    ("Publishing", "publishing:ledger"),
)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """The sidebar's entries, and which of them the page belongs to."""
    match = request.resolver_match
    current = f"{match.namespace}:" if match and match.namespace else ""
    return {
        "navigation": [
            {"label": label, "url_name": name, "current": bool(match) and name == _section(match.view_name)}
            for label, name in NAVIGATION
        ],
        "current_namespace": current,
        "sandboxed": not settings.PRODUCTION,
    }


def _section(view_name: str) -> str:
    """The sidebar entry that a page stands under: its own, or its namespace's first."""
    names = [name for _, name in NAVIGATION]
    if view_name in names:
        return view_name
    namespace = view_name.split(":")[0]
    return next((name for name in names if name.startswith(f"{namespace}:")), "")
