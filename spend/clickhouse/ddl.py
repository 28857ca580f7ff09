"""The text of a migration as it is run: on one server as it stands, on a cluster replicated.

On a cluster every node holds all rows: the tables' path in Keeper names no shard, so that a node never answers for a
part of them only. What is remembered of a migration is the digest of its file, whichever way it was run.
"""

from __future__ import annotations

import re

from spend.clickhouse.client import database

# `{uuid}` and `{replica}` are ClickHouse's own macros; every node has a `replica` of its own
_REPLICAS = "'/clickhouse/tables/{uuid}/all', '{replica}'"
_NAMED = re.compile(r"^((?:CREATE TABLE IF NOT EXISTS|ALTER TABLE) [\w.`]+)", re.MULTILINE)
_ENGINE = re.compile(r"\bENGINE = (\w*MergeTree)(?:\(([^)]*)\))?")


def rendered(sql: str, *, cluster: str = "") -> str:
    """A migration's text for our database; on a cluster with its tables replicated."""
    ours = sql.format(database=database())
    if not cluster:
        return ours
    return _ENGINE.sub(_replicated, _NAMED.sub(rf"\1{on_cluster(cluster)}", ours))


def create_database(*, cluster: str = "") -> str:
    """The statement that makes our database."""
    return f"CREATE DATABASE IF NOT EXISTS {database()}{on_cluster(cluster)} ENGINE = Atomic"


def on_cluster(cluster: str) -> str:
    """What stands behind a table's name; nothing without a cluster."""
    return f" ON CLUSTER '{cluster}'" if cluster else ""


def _replicated(engine: re.Match[str]) -> str:
    arguments = f"{_REPLICAS}, {engine[2]}" if engine[2] else _REPLICAS
    return f"ENGINE = Replicated{engine[1]}({arguments})"
