"""What the pages that refresh themselves share."""

from __future__ import annotations

import hashlib
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.utils import timezone

from tenants.models import Tenant

NOTHING_NEW = 204  # htmx leaves the page as it is
OUT_OF_REACH = 503


def today_of(tenant: Tenant, zone: str = "") -> date:
    """The tenant's day, or that of a zone."""
    return timezone.now().astimezone(ZoneInfo(zone or tenant.time_zone)).date()


def stamp(*parts: object) -> str:
    """A short text that changes when what the page shows changes."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def query_with(request: HttpRequest, **changed: str) -> str:
    """The address's query with some choices changed ("" leaves one out), to be put after "?"."""
    query = request.GET.copy()
    for name, value in ({"seen": ""} | changed).items():
        query[name] = value
        if not value:
            del query[name]
    return query.urlencode(safe=":/")


def page_end(request: HttpRequest) -> str:
    """The event id that the page before ended with; "" on the first page, and for what is no id."""
    try:
        return str(UUID(request.GET.get("before", "")))
    except ValueError:
        return ""
