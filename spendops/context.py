"""What every page's frame shows."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from django.http import HttpRequest
from django.urls import resolve, reverse

from tenants.permissions import Needs, Permission, needs_of
from tenants.queries import tenants_of

THEME_COOKIE = "theme"  # written by static/js/app.js
THEMES = ("light", "dark")

NAVIGATION = (
    ("Spend", "spend:overview", "chart-bar"),
    ("Explore", "spend:explore", "adjustments-horizontal"),
    ("Requests", "spend:requests", "list-details"),
    ("Denials", "spend:denials", "ban"),
    ("Anomalies", "spend:anomalies", "activity"),
    ("All tenants", "spend:tenants", "building"),
    ("Statements", "spend:statements", "file-invoice"),
    ("Cost centres", "spend:cost_centres", "sitemap"),
    ("Exports", "spend:exports", "download"),
    ("Reports", "spend:reports", "mail"),
    ("Imports", "spend:imports", "upload"),
    ("Reconcile", "spend:reconcile", "scale"),
    ("Budgets", "budgets:list", "wallet"),
    ("Projects", "tenants:projects", "folders"),
    ("API keys", "tenants:keys", "key"),
    ("Service tokens", "tenants:tokens", "device-laptop"),
    ("Members", "tenants:members", "user-circle"),
    ("Pricing", "pricing:catalogue", "tag"),
    ("Alerts", "alerts:outbox", "bell"),
    ("Publishing", "publishing:ledger", "cloud-upload"),
    ("Audit", "tenants:audit", "clock"),
    ("Tenants", "tenants:tenants", "building"),
)

# pages that need usage, so that their code lies in spend, and that people look for beside prices
_OF_PRICING = ("spend:unpriced", "spend:rerating")

Entry = tuple[str, str, str]


def open_entries(request: HttpRequest) -> list[Entry]:
    """The sidebar's entries that the person's roles may open, as the views themselves say."""
    allowed: frozenset[Permission] = getattr(request, "permissions", frozenset())
    return [entry for entry in NAVIGATION if not _needs_of(entry[1]).missing("GET", allowed)]


@cache
def _needs_of(url_name: str) -> Needs:
    wanted = needs_of(resolve(reverse(url_name)).func)
    if wanted is None:
        raise LookupError(f"The view of {url_name} says not who may open it.")
    return wanted


def navigation(request: HttpRequest) -> dict[str, Any]:
    """The sidebar's entries that the role may open and which of them the page belongs to, the tenants to choose from,
    and the chosen theme.

    The theme is "" for the system's; the tenants are only asked for where the sidebar is drawn.
    """
    match = request.resolver_match
    section = _section(match.view_name) if match else ""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return {
        "navigation": [
            {"label": label, "url_name": name, "icon": icon, "current": name == section}
            for label, name, icon in open_entries(request)
        ],
        # a request that is refused on its first steps, such as one for another host, has no user yet
        "tenants_of_user": partial(tenants_of, getattr(request, "user", None)),  # type: ignore[arg-type]
        "theme": theme if theme in THEMES else "",
    }


def _section(view_name: str) -> str:
    """The sidebar entry that a page stands under: its own, its list's (`spend:request`), or its namespace's first."""
    if view_name == "tenants:settings":  # it has its place in the menu of tenants
        return ""
    if view_name.startswith(_OF_PRICING):
        return "pricing:catalogue"
    names = [name for _, name, _ in NAVIGATION]
    namespace = view_name.partition(":")[0]
    listed = (name for name in names if view_name.startswith(name.removesuffix("s")))
    return next(listed, next((name for name in names if name.startswith(f"{namespace}:")), ""))
