"""Pure rules of access."""

from __future__ import annotations

import pytest

from access.ceremonies import counter_went_back
from access.rules import action_hash, browser_name, normal_email, session_ended


@pytest.mark.parametrize(
    ("stored", "presented", "went_back"),
    [(0, 0, False), (0, 1, False), (1, 2, False), (1, 1, True), (2, 1, True), (1, 0, True)],
)
def test_counters(stored, presented, went_back):
    assert counter_went_back(stored=stored, presented=presented) is went_back


@pytest.mark.parametrize(
    ("signed_in_at", "seen_at", "ended"),
    [
        (900, 990, False),
        (900, 980, False),
        (900, 979, True),
        (800, 999, False),
        (799, 999, True),
        (None, 999, True),
        (999, None, True),
    ],
)
def test_limits_of_a_session(signed_in_at, seen_at, ended):
    found = session_ended(now=1000, signed_in_at=signed_in_at, seen_at=seen_at, idle=20, absolute=200)
    assert found is ended


def test_addresses_are_compared_in_lower_case():
    assert normal_email(" Asha@Example.COM ") == "asha@example.com"


def test_fields_cannot_run_into_one_another():
    def hashed(*fields: tuple[str, str]) -> str:
        return action_hash(method="POST", path="/x", query="", fields=fields)

    assert hashed(("a", "b"), ("c", "d")) == hashed(("c", "d"), ("a", "b"))
    different = [hashed(("a", "bc")), hashed(("ab", "c")), hashed(("a", "b"), ("c", "")), hashed(("a", "b")), hashed()]
    assert len(set(different)) == len(different)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) Version/18.4 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "Another program"),
        ("", "Another program"),
    ],
)
def test_browsers_are_named_as_people_do(agent, name):
    assert browser_name(agent) == name
