"""The tenant scope: rows of a tenant can only be queried while it is said whose rows are meant.

A query outside a scope raises, so a forgotten filter is an error and never a leak. Work that concerns all tenants
(the publisher, the evaluator) says so with `across_tenants()` and a reason. On PostgreSQL `tenants.walls` tells the
database the open scope, which then refuses the rows of others by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import models

EVERY_TENANT = "*"  # no tenant's id looks like this

_ACROSS = object()
_scope: ContextVar[object | None] = ContextVar("tenant_scope", default=None)


class ScopeError(RuntimeError):
    """A tenant's rows were asked for outside any tenant's scope."""


@contextmanager
def tenant_scope(tenant_id: str) -> Iterator[None]:
    """Within this block, queries see one tenant's rows only."""
    token = _scope.set(tenant_id)
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def across_tenants(reason: str) -> Iterator[None]:
    """Within this block, queries see the rows of all tenants. The reason is for whoever reads the code."""
    if not reason:
        raise ValueError("Say why this work concerns all tenants.")
    token = _scope.set(_ACROSS)
    try:
        yield
    finally:
        _scope.reset(token)


def current_tenant_id() -> str | None:
    """The tenant whose scope is open; None across tenants. Raises ScopeError outside any scope."""
    scope = _scope.get()
    if scope is None:
        raise ScopeError("Open tenant_scope(tenant_id) first, or across_tenants(reason) when all tenants are meant.")
    return None if scope is _ACROSS else str(scope)


def told_scope() -> str:
    """The open scope as the database is told it: a tenant's id, `EVERY_TENANT`, or "" outside any scope."""
    scope = _scope.get()
    if scope is None:
        return ""
    return EVERY_TENANT if scope is _ACROSS else str(scope)


class TenantManager(models.Manager[Any]):
    """Filters by the open scope, and raises without one. For models with a `tenant` foreign key."""

    use_in_migrations = False

    def get_queryset(self) -> models.QuerySet[Any]:
        tenant_id = current_tenant_id()
        rows = super().get_queryset()
        return rows if tenant_id is None else rows.filter(tenant_id=tenant_id)
