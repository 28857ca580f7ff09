"""The page of keys and the issue of one, at 1,000 and at 100,000 keys of one tenant, through the pages themselves."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from bench._measures import baseline, line, quantile
from bench.parts._installation import installation, say

FEW, MANY = 1_000, 100_000
TIMES = 40
VIEWS = ("/keys", "/keys?q=service+0004", "/keys?status=active&env=dev", "/keys?q=9")


def main() -> None:
    with installation():
        from django.test.utils import setup_test_environment

        setup_test_environment()
        from bench.parts._keys import BY, add_keys
        from tenants.bootstrap import bootstrap_admin
        from tenants.models import Project, Tenant
        from tenants.scope import tenant_scope
        from tests.browsing import Person

        admin = Person()
        admin.enrol(bootstrap_admin(email="bench@example.com", name="Bench", by=BY).token)
        tenant = Tenant.objects.get()
        with tenant_scope(tenant.id):
            project = Project.objects.first()
        assert project is not None
        empty_list, _ = _list(admin)
        empty_issue = _issue(admin, project.id)
        held = 0
        for count, compared in ((FEW, "no keys"), (MANY, "1,000 keys")):
            add_keys(tenant, project, count - held, env="dev", publish=False)
            held = count
            listed, queries = _list(admin)
            issued = _issue(admin, project.id)
            name = f"the same with {compared}"
            say(line("key_list_p95_ms", listed, "ms", baseline(name, empty_list), keys=count, queries=queries))
            say(line("key_issue_p95_ms", issued, "ms", baseline(name, empty_issue), keys=count))
            empty_list, empty_issue = listed, issued


def _list(admin: Any) -> tuple[float, int]:
    """The 95th percentile over some views of the list, in ms, and the most queries that one took."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    most = 0
    for view in VIEWS:
        with CaptureQueriesContext(connection) as caught:
            assert admin.get(view).status_code == 200
        most = max(most, len(caught))
    return _p95(lambda number: admin.get(VIEWS[number % len(VIEWS)]), 200), most


def _issue(admin: Any, project: str) -> float:
    admin.step_up()

    def issue(_: int) -> Any:
        token = uuid.uuid4().hex
        return admin.post("/keys/issue", {"name": "bench", "project": project, "env": "dev", "token": token})

    return _p95(issue, 200)


def _p95(ask: Callable[[int], Any], status: int) -> float:
    times = []
    for number in range(TIMES):
        began = time.perf_counter()
        answer = ask(number)
        times.append(time.perf_counter() - began)
        assert answer.status_code == status, answer.content[:2000]
    return quantile(times, 0.95) * 1000


if __name__ == "__main__":
    main()
