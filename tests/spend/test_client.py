"""The one door to ClickHouse: what it lets through and what it says when something is wrong."""

from __future__ import annotations

import pytest

from spend.clickhouse import client
from spend.clickhouse.errors import RefusedError, TenantFilterError, TooMuchError, UnavailableError


def test_a_question_without_its_tenant_is_not_asked(clickhouse):
    with pytest.raises(TenantFilterError):
        client.ask("SELECT count() FROM usage_events", tenant_id="t_abc123", purpose="a test")
    with pytest.raises(TenantFilterError):
        client.ask("SELECT count() FROM usage_events", purpose="a test")


def test_a_question_about_one_tenant_or_about_all(clickhouse):
    sql = f"SELECT count() FROM usage_events WHERE {client.TENANT_FILTER}"
    assert client.ask(sql, tenant_id="t_abc123", purpose="a test") == [(0,)]
    assert client.ask("SELECT count() FROM usage_events", across_tenants=True, purpose="a test") == [(0,)]


def test_questions_are_limited(clickhouse, monkeypatch):
    monkeypatch.setitem(client._QUESTION, "max_result_rows", 10)
    with pytest.raises(TooMuchError):
        client.ask("SELECT number FROM numbers(1000)", across_tenants=True, purpose="a test")


def test_a_refusal_names_clickhouse_code(clickhouse):
    with pytest.raises(RefusedError) as caught:
        client.ask("SELECT no_such_column FROM usage_events", across_tenants=True, purpose="a test")
    assert caught.value.code == 47
    assert client.ask("SELECT 1", across_tenants=True, purpose="a test") == [(1,)]


def test_nobody_there(settings):
    client.forget_connections()
    settings.CLICKHOUSE_URL = "clickhouse://127.0.0.1:1/spendops"
    with pytest.raises(UnavailableError):
        client.ask("SELECT 1", across_tenants=True, purpose="a test")


def test_a_dead_connection_is_replaced(clickhouse):
    ask = {"across_tenants": True, "purpose": "a test"}
    assert client.ask("SELECT 1", **ask) == [(1,)]
    pooled = client._pool.queue[-1]
    pooled.connection.socket.close()
    assert client.ask("SELECT 2", **ask) == [(2,)]
