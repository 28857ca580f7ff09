"""`{% if request|can:"keys.issue" %}`: what the person may not do is not offered."""

from __future__ import annotations

from django import template
from django.http import HttpRequest

from tenants.permissions import Permission

register = template.Library()


@register.filter
def can(request: HttpRequest | str, permission: str) -> bool:
    """Whether the person has a permission in the tenant that is looked at. Raises ValueError for an unknown one."""
    return Permission(permission) in getattr(request, "permissions", frozenset())
