"""A tenant's rows can only be queried while it is said whose rows are meant."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tenants.models import ApiKey, Project
from tenants.scope import ScopeError, across_tenants, current_tenant_id, tenant_scope
from tests.tenants.making import issue, make_tenant

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "query",
    [
        lambda: Project.objects.all(),
        lambda: Project.objects.filter(name="x"),
        lambda: Project.objects.count(),
        lambda: ApiKey.objects.get(pk="x"),
        lambda: ApiKey.objects.update(name="x"),
        lambda: ApiKey.objects.filter(pk="x").delete(),
        lambda: ApiKey.objects.exists(),
    ],
)
def test_without_a_scope_every_query_raises(query):
    with pytest.raises(ScopeError, match="tenant_scope"):
        query()


def test_within_a_scope_only_that_tenants_rows_are_there():
    ours, theirs = make_tenant("Ours"), make_tenant("Theirs")
    key = issue(theirs).key
    with tenant_scope(ours.id):
        assert [project.tenant_id for project in Project.objects.all()] == [ours.id]
        assert not ApiKey.objects.filter(pk=key.pk).exists()
        assert ApiKey.objects.filter(pk=key.pk).update(name="stolen") == 0
    with tenant_scope(theirs.id):
        assert ApiKey.objects.get().name == "bot"


def test_all_rows_need_a_reason():
    make_tenant("Ours"), make_tenant("Theirs")
    with across_tenants("this test counts all projects"):
        assert Project.objects.count() == 2
        assert current_tenant_id() is None
    with pytest.raises(ValueError, match="why"), across_tenants(""):
        pass


def test_scopes_nest_and_end_even_after_an_error():
    def fail() -> None:
        with tenant_scope("t_inner"):
            raise ZeroDivisionError

    with tenant_scope("t_outer"):
        with pytest.raises(ZeroDivisionError):
            fail()
        assert current_tenant_id() == "t_outer"
    with pytest.raises(ScopeError):
        current_tenant_id()


def test_a_scope_is_not_seen_in_another_thread():
    with tenant_scope("t_here"), ThreadPoolExecutor(1) as pool, pytest.raises(ScopeError):
        pool.submit(current_tenant_id).result(timeout=10)
