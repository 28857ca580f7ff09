"""PostgreSQL keeps tenants apart by itself: shown under the application's role, without the filter of the ORM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, ProgrammingError, connection, transaction

from tenants.actions.keys import issue_key, revoke_key
from tenants.actions.projects import create_project
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import across_tenants, tenant_scope
from tenants.walls import POLICY, walled_models
from tests.tenants.making import SOMEBODY, issue, make_tenant, project_of

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

# Tables with a tenant that stand outside the wall, and why.
OUTSIDE = {
    "tenants_membership": "read to find out which tenants a person may enter",
    "changes_auditevent": "one chain for the installation; what a tenant is shown of it is filtered by its reader",
    "publishing_kventry": "the publisher's ledger of all documents, those that tenants share included",
    "publishing_kvversion": "the publisher's ledger of what documents said, narrowed by its pages as they do entries",
    "spend_rerating": "jobs over one tenant or all, which only platform admins start and see",
    "spend_reratedtenant": "what those jobs found by tenant, shown to platform admins only",
    "spend_dirtyday": "marks of the consumers' recounts, which no page shows",
    "spend_importingtenant": "who settles which tenant's imports, and up to where, which no page shows",
    "spend_countedzone": "the zone that a consumer counts each tenant's days in, which no page shows",
}


@pytest.fixture
def app_role() -> Iterator[None]:
    """From here on the test speaks to the database as the application does in production."""
    with connection.cursor() as cursor:
        for name in ("roles", "grants"):
            cursor.execute((Path(settings.BASE_DIR) / "deploy" / "sql" / f"{name}.sql").read_text(encoding="utf-8"))
        cursor.execute("SET ROLE spendops_app")
    yield
    connection.close()  # the next test begins as the owner again


def count(sql: str, parameters: list[str] | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or [])
        return cursor.fetchone()[0]


def test_every_table_with_a_tenant_stands_behind_the_wall(app_role):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_policies p ON p.tablename = c.relname"
            " WHERE c.relrowsecurity AND c.relforcerowsecurity AND p.policyname = %s",
            [POLICY],
        )
        walled = {row[0] for row in cursor.fetchall()}
    with_tenant = {
        model._meta.db_table
        for model in apps.get_models()
        if any(field.column == "tenant_id" for field in model._meta.concrete_fields)
    }
    assert walled == {model._meta.db_table for model in walled_models()}
    assert with_tenant - walled == set(OUTSIDE), "a new table with a tenant: give it a TenantManager, or say why not"


def test_the_application_owns_nothing_and_cannot_take_the_wall_down(app_role):
    assert count("SELECT count(*) FROM pg_tables WHERE tableowner = current_user") == 0
    assert count("SELECT count(*) FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)") == 0
    for statement in (
        "ALTER TABLE tenants_apikey DISABLE ROW LEVEL SECURITY",
        f"DROP POLICY {POLICY} ON tenants_apikey",
        "TRUNCATE tenants_apikey CASCADE",
    ):
        with pytest.raises(ProgrammingError), connection.cursor() as cursor:
            cursor.execute(statement)


def test_c09_without_the_orms_filter_there_are_no_foreign_rows(app_role):
    ours, theirs = make_tenant("Ours"), make_tenant("Theirs")
    our_key, their_key = issue(ours).key, issue(theirs).key
    every_key = "SELECT count(*) FROM tenants_apikey"
    with tenant_scope(ours.id):
        assert set(ApiKey._base_manager.values_list("id", flat=True)) == {our_key.id}
        assert count(every_key) == 1
        assert count(f"{every_key} WHERE tenant_id = %s", [theirs.id]) == 0
        assert not ApiKey._base_manager.filter(pk=their_key.id).exists()
        assert ApiKey._base_manager.filter(pk=their_key.id).update(name="Stolen") == 0
        assert ApiKey._base_manager.filter(pk=their_key.id).delete()[0] == 0
        with transaction.atomic():
            assert count(every_key) == 1
            assert len(list(ApiKey._base_manager.iterator(chunk_size=10))) == 1
        assert len(list(ApiKey._base_manager.iterator(chunk_size=10))) == 1
    assert count(every_key) == 0  # outside any scope
    with across_tenants("a test counts"):
        assert count(every_key) == 2
        assert ApiKey.objects.get(pk=their_key.id).name == "bot"


def test_c09_a_row_cannot_be_put_into_or_moved_to_another_tenant(app_role):
    ours, theirs = make_tenant("Ours"), make_tenant("Theirs")
    mine = project_of(ours)
    with tenant_scope(ours.id):
        with pytest.raises(DatabaseError, match="row-level security"):
            Project._base_manager.create(tenant=theirs, name="Smuggled")
        with pytest.raises(DatabaseError, match="row-level security"):
            Project._base_manager.filter(pk=mine.pk).update(tenant=theirs)
    with pytest.raises(DatabaseError, match="row-level security"):
        Project._base_manager.create(tenant=ours, name="Of nobody")
    with across_tenants("a test counts"):
        assert sorted(Project.objects.values_list("name", flat=True)) == ["Default", "Default"]


def test_scopes_and_transactions_nest_in_any_order(app_role):
    ours, theirs = make_tenant("Ours"), make_tenant("Theirs")

    def seen() -> list[str]:
        return list(Project._base_manager.values_list("tenant_id", flat=True))

    with transaction.atomic():
        assert seen() == []
        with tenant_scope(ours.id):
            assert seen() == [ours.id]
            with transaction.atomic(), tenant_scope(theirs.id):
                assert seen() == [theirs.id]
                transaction.set_rollback(True)
            assert seen() == [ours.id]
            with transaction.atomic(), across_tenants("a test counts"):
                assert len(seen()) == 2
            assert seen() == [ours.id]
            with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")
            assert seen() == [ours.id]
        assert seen() == []
    with tenant_scope(theirs.id):
        assert seen() == [theirs.id]
    assert seen() == []
    assert count("SELECT count(*) FROM pg_settings WHERE name = 'spendops.tenant' AND setting <> ''") == 0


def test_the_product_works_as_the_application_role(app_role, admin_client):
    """Enrolled, signed in and bootstrapped as that role already; now a key's life through the pages."""
    form = {"name": "Bot", "project": project_of(admin_client.tenant).id, "env": "dev", "token": "once"}
    assert "so_dev_" in admin_client.post("/keys/issue", form).content.decode()
    with tenant_scope(admin_client.tenant.id):
        key = ApiKey.objects.get()
    assert "Bot" in admin_client.get("/keys").content.decode()
    answer = admin_client.post(f"/keys/{key.id}/revoke", {"name": "Bot"}, follow=True)
    assert answer.status_code == 200
    stranger = issue_key(
        tenant=(other := make_tenant("Other")), project=project_of(other), name="x", env="dev", by=SOMEBODY
    )
    assert admin_client.get(f"/keys/{stranger.key.id}").status_code == 404
    with across_tenants("as commands do"):
        assert revoke_key(key=stranger.key, by=SOMEBODY).status == "revoked"
    create_project(tenant=Tenant.objects.get(pk=other.pk), name="More", by=SOMEBODY)
