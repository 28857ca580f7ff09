"""The second wall: PostgreSQL itself keeps the rows of other tenants from every statement.

Forced row-level security on each table whose manager is `TenantManager` compares `tenant_id` with a setting that holds
for one transaction. It is told before the statement that needs it, so a scope may be opened inside or outside of a
transaction, and none stays open while a job waits for the network: a statement outside of one gets one of its own.
Nothing told means no rows. The role of the application owns no table and cannot take the wall down (`deploy/sql`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.apps import AppConfig, apps
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

from tenants.scope import EVERY_TENANT, TenantManager, told_scope

SETTING = "spendops.tenant"
POLICY = "tenant_wall"

_TOLD = "_spendops_told"  # on a connection: what was told last, and in which savepoints
_NOTHING: tuple[str, tuple[str | None, ...]] = ("", ())
_OF_SAVEPOINTS = ("SAVEPOINT ", "RELEASE ", "ROLLBACK ")


def walled_models(app: AppConfig | None = None) -> list[type[models.Model]]:
    """The models whose rows belong to tenants and stand behind the wall: of one app, or all of them."""
    found = (app or apps).get_models()
    return [model for model in found if isinstance(model._meta.managers_map.get("objects"), TenantManager)]


def build(app_config: AppConfig, using: str, **_: Any) -> None:
    """After each `migrate`: raise the wall of every table of an app that has none yet. Runs as the tables' owner."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        for table in [model._meta.db_table for model in walled_models(app_config)]:
            if table not in present:  # not migrated yet: its turn comes
                continue
            cursor.execute("SELECT 1 FROM pg_policies WHERE tablename = %s AND policyname = %s", [table, POLICY])
            if cursor.fetchone() is None:
                for statement in wall_statements(table):
                    cursor.execute(statement)


def wall_statements(table: str) -> list[str]:
    """What raises one table's wall. A row of no tenant (NULL) shows only to work that concerns all of them."""
    rule = f"current_setting('{SETTING}', true) IN ('{EVERY_TENANT}', tenant_id)"
    return [
        f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
        f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
        f'CREATE POLICY {POLICY} ON "{table}" USING ({rule}) WITH CHECK ({rule})',
    ]


def listen(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """On each new connection to PostgreSQL: tell the scope before statements."""
    if connection.vendor == "postgresql" and _with_scope not in connection.execute_wrappers:
        connection.execute_wrappers.append(_with_scope)


def _with_scope(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    connection: BaseDatabaseWrapper = context["connection"]
    if isinstance(sql, str) and sql.startswith(
        _OF_SAVEPOINTS
    ):  # what were told here would be undone with the savepoint
        if connection.connection.info.transaction_status == TransactionStatus.IDLE:
            setattr(connection, _TOLD, _NOTHING)  # a savepoint may be a transaction's first statement
        return execute(sql, params, many, context)
    if not connection.get_autocommit():
        _tell(connection, told_scope())
        return execute(sql, params, many, context)
    if not told_scope() or not any(table in str(sql) for table in _walled_tables()):
        return execute(sql, params, many, context)  # behind the wall nothing shows then
    with transaction.atomic(using=connection.alias):
        _tell(connection, told_scope())
        return execute(sql, params, many, context)


@cache
def _walled_tables() -> tuple[str, ...]:
    return tuple(model._meta.db_table for model in walled_models())


def _tell(connection: BaseDatabaseWrapper, scope: str) -> None:
    """SET LOCAL, unless this transaction was told the same and no savepoint has undone it since."""
    raw = connection.connection
    status = raw.info.transaction_status
    if status == TransactionStatus.INERROR:
        return  # nothing but a rollback is taken now
    savepoints = tuple(connection.savepoint_ids)
    told, within = getattr(connection, _TOLD, _NOTHING)
    begun = status != TransactionStatus.IDLE
    if begun and told == scope and savepoints[: len(within)] == within:
        return
    if not begun and not scope:  # nothing was told in a new transaction, and nothing is to be
        setattr(connection, _TOLD, _NOTHING)
        return
    with raw.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, scope])
    setattr(connection, _TOLD, (scope, savepoints))
