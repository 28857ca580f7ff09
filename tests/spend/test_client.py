"""The one door to ClickHouse: what it lets through and what it says when something is wrong."""

from __future__ import annotations

import json
import threading
from io import StringIO

import pytest
from django.core.management import call_command

from spend.clickhouse import client, questions
from spend.clickhouse.errors import (
    PagesOffError,
    RefusedError,
    StoppedError,
    TenantFilterError,
    TooMuchError,
    UnavailableError,
)
from spend.clickhouse.switch import answering_a_request
from spendops.ring.supervisor import wait_until


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


# -- the kill switch and the off switch --------------------------------------------------------------------------------


def _long_question(purpose: str, found: list[BaseException]) -> threading.Thread:
    def ask() -> None:
        try:
            client.ask(
                "SELECT sum(cityHash64(number)) FROM numbers(100000000000)", across_tenants=True, purpose=purpose
            )
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def _running(purpose: str) -> list[questions.Question]:
    return [each for each in questions.running_questions() if each.purpose == purpose]


def test_a_question_that_runs_is_listed_and_can_be_stopped(clickhouse):
    caught: list[BaseException] = []
    thread = _long_question("a long test", caught)
    wait_until(lambda: bool(_running("a long test")), 15, "the questions run")
    listed = json.loads(_command("--json"))["running"]
    assert [(each["purpose"], each["tenant"]) for each in listed] == [("a long test", "*")]
    assert _command("--kill", "something else").strip() == "Nothing like that runs."
    assert "stopped" in _command("--kill", "a long test")
    thread.join(15)
    assert not thread.is_alive()
    assert [type(each) for each in caught] == [StoppedError]
    assert client.ask("SELECT 1", across_tenants=True, purpose="a test") == [(1,)]


def test_all_questions_can_be_stopped_at_once(clickhouse):
    caught: list[BaseException] = []
    threads = [_long_question("one", caught), _long_question("another", caught)]
    wait_until(lambda: bool(_running("one") and _running("another")), 15, "the questions run")
    assert _command("--kill-all").count("stopped") == 2
    for thread in threads:
        thread.join(15)
    assert [type(each) for each in caught] == [StoppedError, StoppedError]
    assert _command() == "Nothing runs.\n"


def test_switched_off_pages_ask_nothing_and_jobs_go_on(clickhouse, settings):
    settings.SPEND_PAGES = False
    asked = {"across_tenants": True, "purpose": "a test"}
    assert client.ask("SELECT 1", **asked) == [(1,)]
    with answering_a_request(), pytest.raises(PagesOffError):
        client.ask("SELECT 1", **asked)


def test_a_page_says_that_it_is_out_of_reach_while_pages_are_off(admin_client, clickhouse, settings):
    assert admin_client.get("/spend").status_code == 200
    settings.SPEND_PAGES = False
    page = admin_client.get("/spend")
    assert page.status_code == 503
    assert "Spend data is out of reach" in page.content.decode()


def _command(*arguments: str) -> str:
    out = StringIO()
    call_command("clickhouse_questions", *arguments, stdout=out)
    return out.getvalue()
