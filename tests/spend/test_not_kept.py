"""Where single calls are kept for some days only, what needs older ones says so: on pages, in files, over the API."""

from __future__ import annotations

import json

import pytest

from tenants.permissions import Role
from tests.spend.test_pages_requests import text_of
from tests.tenants.company import Company

OLD = "period=custom&first=2026-10-01&last=2026-10-30"
EXPORT = "first=2026-10-01&last=2026-10-30&tag:team=a"


@pytest.fixture
def person(queues, clickhouse, settings):
    settings.USAGE_RETENTION_DAYS = 5
    return Company().person(Role.TENANT_ADMIN)


@pytest.mark.parametrize("address", ["/explore?by=tag:team&", "/explore/data?by=tag:team&"])
def test_explore_says_what_is_not_kept(person, address):
    answer = person.get(f"{address}{OLD}")
    assert answer.status_code == 200
    assert "Single calls are kept for 5 days" in text_of(answer)


def test_so_do_the_ratios(person):
    assert "not kept any more" in text_of(person.get(f"/explore/ratios?{OLD}&tag:team=a"))


def test_so_do_exports(person):
    assert "Single calls are kept for 5 days" in text_of(person.get(f"/exports/new?{EXPORT}"))
    form = {"kind": "spend", "format": "csv", "first": "2026-10-01", "last": "2026-10-30", "each": "day", "by": "model"}
    answer = person.post(f"/exports/new?{EXPORT}", form | {"partial": "on"})
    assert (answer.status_code, "Single calls are kept for 5 days" in text_of(answer)) == (422, True)
    body = json.dumps({"kind": "spend", "query": EXPORT})
    answer = person.generic("POST", "/api/v1/exports", body, content_type="application/json")
    assert (answer.status_code, "Single calls are kept" in answer.json()["detail"]) == (422, True)
