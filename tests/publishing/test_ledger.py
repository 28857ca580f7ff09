"""The ledger's page: lag, recent writes with who and why, failures with retry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from changes.models import OutboxRow
from publishing.models import KvEntry
from tenants.models import ApiKey, Membership
from tests.publishing.faults import Faulty, raising
from tests.tenants.making import issue, make_tenant, project_of_name
from tests.tenants.test_key_pages import text
from wire.documents import key_document


def lag(answer, env: str):
    return next(each for each in answer.context["lags"] if each.env == env)


def test_a_change_waits_is_written_and_is_named_with_its_cause(admin_client, stores, publisher):
    admin_client.step_up()
    publisher.once()
    admin_client.post("/projects", {"name": "Support"})
    issue_form = {"name": "Bot", "env": "dev", "project": project_of_name(admin_client.tenant, "Default").id}
    admin_client.post("/keys/issue", issue_form)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2)):
        waiting = lag(admin_client.get("/publishing"), "dev")
        assert waiting.waiting == 1
        assert waiting.age_ms >= 120_000
    publisher.once()
    answer = admin_client.get("/publishing")
    assert (lag(answer, "dev").waiting, lag(answer, "dev").error) == (0, "")
    newest = answer.context["writes"][0]
    assert newest.event.kind == "api_key.issued"
    assert newest.actor == str(admin_client.user)
    assert "Up to date" in text(answer)
    assert f'href="/keys/{newest.event.target_id}"' in answer.content.decode()


@pytest.fixture
def failed_key(admin_client, stores, publisher):
    publisher.once()
    key = issue(admin_client.tenant).key
    faults = Faulty()
    faults.before = raising(ConnectionError("the store is away"))
    stores.opening = faults.around
    publisher.close()
    publisher.once()
    return key


def test_a_failure_is_shown_and_sent_again_on_demand(admin_client, stores, publisher, failed_key):
    answer = admin_client.get("/publishing")
    assert lag(answer, "dev").failing == 1
    assert "the store is away" in text(answer)
    entry = KvEntry.objects.get(key=key_document(failed_key.hash))
    assert publisher.once().published == 0
    admin_client.step_up()
    page = admin_client.post(f"/publishing/entries/{entry.pk}/retry", follow=True)
    assert "is sent again" in text(page)
    assert publisher.once().published == 1


def test_retrying_needs_the_passkey(admin_client, failed_key):
    entry = KvEntry.objects.get(key=key_document(failed_key.hash))
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)):
        assert admin_client.post(f"/publishing/entries/{entry.pk}/retry").status_code == 403
    assert KvEntry.objects.get(pk=entry.pk).attempts == 1


def test_an_object_that_cannot_be_rendered_is_shown_and_rendered_again_on_demand(admin_client, stores, publisher):
    key = issue(admin_client.tenant).key
    ApiKey._base_manager.filter(pk=key.pk).update(status="nonsense")
    publisher.once()
    answer = admin_client.get("/publishing")
    assert f"key {key.id}" in text(answer)
    ApiKey._base_manager.filter(pk=key.pk).update(status="active")
    admin_client.step_up()
    admin_client.post(f"/publishing/objects/{OutboxRow.objects.get().pk}/retry")
    publisher.once()
    assert key_document(key.hash) in stores.documents("dev")


def test_a_refused_namespace_is_shown_with_what_to_do(admin_client, stores, publisher):
    stores.reader("prod").add("meta:env", b'{"schema":1,"env":"dev"}')
    publisher.once()
    page = text(admin_client.get("/publishing"))
    assert "The KV namespace that is configured for prod belongs to dev" in page
    assert "Refused" in page


def test_a_tenants_admin_sees_no_other_tenants_documents(admin_client, stores, publisher):
    theirs = issue(make_tenant("Strangers Ltd")).key
    ours = issue(admin_client.tenant).key
    publisher.once()
    everything = admin_client.get("/publishing").content.decode()
    assert theirs.hash[:30] in everything
    Membership.objects.filter(role=Membership.Role.PLATFORM_ADMIN).delete()
    page = admin_client.get("/publishing").content.decode()
    assert ours.hash[:30] in page
    assert theirs.hash[:30] not in page
    admin_client.step_up()
    entry = KvEntry.objects.get(key=key_document(theirs.hash))
    assert admin_client.post(f"/publishing/entries/{entry.pk}/retry").status_code == 404
    assert admin_client.post("/publishing/objects/1/retry").status_code == 403


def test_htmx_gets_the_changing_part_only(admin_client):
    answer = admin_client.get("/publishing", headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert "<html" not in page
    assert 'id="ledger"' in page
    assert "Nothing published yet" in page
