"""Whom a call is put down to: headers, the body's own fields, the key's own tags, and what breaks a limit."""

from __future__ import annotations

import msgspec
import pytest

CASES = {
    "pairs": ({"x-spendops-tags": "team=search, env=x"}, {}, {"team": "search", "env": "x"}, ""),
    "JSON": ({"x-spendops-tags": '{"team": "a=b, c"}'}, {}, {"team": "a=b, c"}, ""),
    "the body's metadata": ({}, {"metadata": {"team": "m", "user_id": "u"}}, {"team": "m"}, ""),
    "headers before the body": ({"x-spendops-tags": "team=h"}, {"metadata": {"team": "m"}}, {"team": "h"}, ""),
    "the key's own before all": ({"x-spendops-tags": "owner=mallory,team=h"}, {}, {"team": "h"}, ""),
    "no pair": ({"x-spendops-tags": "team"}, {}, {}, "not of the form name=value"),
    "no JSON": ({"x-spendops-tags": "{team"}, {}, {}, "not a JSON object"),
    "no UTF-8": ({"x-spendops-tags": b'{"a":"\xff"}'}, {}, {}, "not a JSON object"),
    "nested too deep": ({"x-spendops-tags": '{"a":' + "[" * 3000 + "]" * 3000 + "}"}, {}, {}, "not a JSON object"),
    "no text": ({}, {"metadata": {"n": 5, "team": "m"}}, {"team": "m"}, "not a text"),
    "too long a name": ({"x-spendops-tags": f"{'n' * 65}=x"}, {}, {}, "longer than 64"),
    "too long a value": ({"x-spendops-tags": f"n={'v' * 257},team=h"}, {}, {"team": "h"}, "longer than 256"),
    "not printable": ({}, {"metadata": {"team": "a\nb"}}, {}, "not printable"),
    "nothing": ({}, {"metadata": None}, {}, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_tags(gateway, case):
    headers, fields, tags, warning = CASES[case]
    key = gateway.issue(tags={"owner": "asha"})
    answer = key.chat(headers=headers, **fields)
    assert answer.status_code == 200
    assert gateway.one_event(key).tags == {"owner": "asha"} | tags
    assert warning in answer.headers.get("x-spendops-warning", "")
    assert ("x-spendops-warning" in answer.headers) == bool(warning)


def test_there_are_sixteen_tags_at_most(gateway):
    key = gateway.issue(tags={"owner": "asha"})
    many = msgspec.json.encode({f"t{n:02d}": "x" for n in range(30)}).decode()
    answer = key.chat(headers={"x-spendops-tags": many})
    assert "more than 16 tags" in answer.headers["x-spendops-warning"]
    event = gateway.one_event(key)
    assert len(event.tags) == 16
    assert event.tags["owner"] == "asha"


@pytest.mark.parametrize(
    ("headers", "fields", "user"),
    [
        ({"x-spendops-user": "u-1"}, {"user": "u-2"}, "u-1"),
        ({}, {"user": "u-2"}, "u-2"),
        ({}, {"safety_identifier": "u-3"}, "u-3"),
        ({}, {"user": "x" * 257}, ""),
        ({}, {"user": 7}, ""),
    ],
)
def test_end_users(gateway, key, headers, fields, user):
    assert key.chat(headers=headers, **fields).status_code == 200
    assert gateway.one_event(key).end_user == user
