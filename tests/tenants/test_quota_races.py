"""On PostgreSQL: two at once overrun no quota, and nothing slips into a tenant that is being archived."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from tenants.actions.keys import revoke_key
from tenants.actions.leaks import revoke_leaked
from tenants.actions.projects import create_project
from tenants.actions.tenants import archive_tenant, set_quotas, suspend_tenant
from tenants.errors import QuotaError, RefusedError, StatusError
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import tenant_scope
from tests.tenants.making import SOMEBODY, issue, make_tenant, project_of

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each of them gave or refused with, done at the same time."""

    def done(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except RefusedError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(done, works))


def counts(tenant: Tenant) -> tuple[int, int]:
    with tenant_scope(tenant.id):
        living = ApiKey.objects.exclude(status=ApiKey.Status.REVOKED).count()
    return Tenant.objects.get(pk=tenant.pk).keys_living, living


def test_keys_that_are_issued_at_once_overrun_no_quota():
    assert connection.vendor == "postgresql"
    tenant = make_tenant("Acme")
    set_quotas(tenant=tenant, keys_most=4, projects_most=None, by=SOMEBODY)
    done = at_once(*(lambda number=number: issue(tenant, f"bot {number}") for number in range(10)))
    assert sum(isinstance(each, QuotaError) for each in done) == 6
    assert counts(tenant) == (4, 4)


def test_projects_that_are_made_at_once_overrun_no_quota():
    tenant = make_tenant("Acme")
    set_quotas(tenant=tenant, keys_most=None, projects_most=3, by=SOMEBODY)
    done = at_once(
        *(lambda number=number: create_project(tenant=tenant, name=f"P {number}", by=SOMEBODY) for number in range(6))
    )
    assert sum(isinstance(each, QuotaError) for each in done) == 4
    with tenant_scope(tenant.id):
        assert Project.objects.count() == 3


def test_issuing_and_revoking_at_once_block_each_other_never_and_count_right():
    tenant = make_tenant("Acme")
    keys = [issue(tenant, f"old {number}").key for number in range(8)]
    done = at_once(
        *(lambda key=key: revoke_key(key=key, by=SOMEBODY) for key in keys[:4]),
        lambda: revoke_leaked(tenant=tenant, key_ids=[key.id for key in keys], by=SOMEBODY),
        *(lambda number=number: issue(tenant, f"new {number}") for number in range(4)),
    )
    assert not [each for each in done if isinstance(each, Exception)]
    assert counts(tenant) == (4, 4)


def test_what_comes_while_a_tenant_is_archived_is_before_it_or_refused():
    tenant = make_tenant("Acme")
    suspend_tenant(tenant=tenant, reason="It leaves.", by=SOMEBODY)
    done = at_once(
        *(lambda number=number: issue(tenant, f"bot {number}") for number in range(4)),
        lambda: archive_tenant(tenant=tenant, reason="It has left.", by=SOMEBODY),
        *(lambda number=number: issue(tenant, f"more {number}") for number in range(4)),
    )
    refused = [each for each in done if isinstance(each, StatusError)]
    assert counts(tenant) == (8 - len(refused), 8 - len(refused))
    assert Tenant.objects.get(pk=tenant.pk).status == "archived"
    assert project_of(tenant).keys_living == 8 - len(refused)
