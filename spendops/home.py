"""The root: the way to the first page that the person's role may open."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from spendops.context import open_entries
from tenants.permissions import signed_in


@signed_in
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The first entry of the sidebar; one's own passkeys for whoever may open none."""
    entries = open_entries(request)
    return redirect(entries[0][1] if entries else "access:passkeys")
