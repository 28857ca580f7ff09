"""Who acts in a request, for the audit trail."""

from __future__ import annotations

from django.http import HttpRequest

from access.addresses import client_address
from changes.actor import Actor


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person; before sign-in only the address is known, and the id is empty."""
    known = getattr(request, "actor", None)  # the tenant middleware's, which knows the role as well
    if isinstance(known, Actor):
        return known
    return Actor(
        "user",
        str(request.user.pk or ""),
        address=client_address(request),
        request_id=getattr(request, "id", ""),
    )
