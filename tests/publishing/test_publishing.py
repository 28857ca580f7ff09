"""From a change in SQL to the document that the gateway reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import settings

from changes.models import AuditEvent, OutboxRow
from changes.record import Topic
from publishing.desired import settle
from publishing.models import KvEntry
from publishing.render import render
from tenants.actions.keys import disable_key, issue_key, revoke_key
from tenants.actions.tenants import change_tenant
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import across_tenants, tenant_scope
from tests.publishing.changing import change_key, publish_again
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import (
    Block,
    KeyPolicy,
    KeyStatus,
    TenantState,
    decode_key,
    decode_tenant,
    key_document,
    tenant_document,
)
from wire.keys import key_hash


def test_an_issued_key_is_exactly_the_policy_that_the_gateway_reads(stores, publisher):
    tenant = make_tenant()
    until = datetime(2031, 5, 6, 7, 8, 9, 123000, tzinfo=UTC)
    since = datetime(2026, 5, 6, 7, 8, 9, 1000, tzinfo=UTC)
    issued = issue(tenant, expires_at=until, allowed_models=["gpt-4o*", "claude-*"], denied_models=["gpt-4o-audio*"])
    change_key(
        issued.key,
        not_before=since,
        allowed_providers=["openai"],
        denied_providers=["azure"],
        networks=["10.0.0.0/8", "2001:db8::/32"],
        tier="bulk",
        rpm=60,
        tpm=2**40,
        concurrency=3,
        tags={"team": "red", "app": "bot"},
    )
    publisher.once()
    key = issued.key
    held = stores.reader("dev").get(key_document(key_hash(issued.text, settings.SPENDOPS.pepper)))
    assert decode_key(held) == KeyPolicy(
        schema=1,
        rev=1,
        env="dev",
        tenant=tenant.id,
        project=key.project_id,
        key=key.id,
        status=KeyStatus.ACTIVE,
        expires=int(until.timestamp() * 1000),
        allowed_models=("gpt-4o*", "claude-*"),
        denied_models=("gpt-4o-audio*",),
        not_before=int(since.timestamp() * 1000),
        allowed_providers=("openai",),
        denied_providers=("azure",),
        networks=("10.0.0.0/8", "2001:db8::/32"),
        tier="bulk",
        rpm=60,
        tpm=2**40,
        concurrency=3,
        tags={"app": "bot", "team": "red"},
    )
    assert b'{"app":"bot","team":"red"}' in held, "in an order of its own, whatever SQL's is"


def test_a_key_is_published_into_its_own_environment_only(stores, publisher):
    tenant = make_tenant()
    dev, prod = issue(tenant, env="dev").key, issue(tenant, env="prod").key
    publisher.once()
    assert list(stores.documents("dev", "key:")) == [key_document(dev.hash)]
    assert list(stores.documents("prod", "key:")) == [key_document(prod.hash)]
    assert decode_key(stores.documents("prod")[key_document(prod.hash)].body).env == "prod"


def test_a_tenant_is_published_into_every_environment(stores, publisher):
    tenant = make_tenant()
    publisher.once()
    for env in ("dev", "prod"):
        held = decode_tenant(stores.documents(env)[tenant_document(tenant.id)].body)
        assert held == TenantState(rev=1, env=env, tenant=tenant.id, suspended=False, block=None)


@pytest.mark.parametrize("status", [Tenant.Status.SUSPENDED, Tenant.Status.ARCHIVED])
def test_a_tenant_that_is_not_active_is_suspended_at_the_gateway(stores, publisher, status):
    tenant = make_tenant()
    Tenant.objects.filter(pk=tenant.pk).update(status=status)
    publisher.once()
    assert decode_tenant(stores.documents("dev")[tenant_document(tenant.id)].body).suspended is True


@pytest.mark.parametrize("status", [Project.Status.SUSPENDED, Project.Status.ARCHIVED])
def test_keys_of_a_project_that_is_not_active_are_blocked_and_freed_again(stores, publisher, monkeypatch, status):
    monkeypatch.setattr("publishing.desired.BATCH", 3)
    tenant = make_tenant()
    keys = [issue(tenant, f"key {number}", env="dev" if number % 2 else "prod").key for number in range(7)]
    with tenant_scope(tenant.id):
        elsewhere = Project.objects.create(tenant=tenant, name="Elsewhere")
    other = issue_key(tenant=tenant, project=elsewhere, name="other", env="dev", by=SOMEBODY).key
    publisher.once()
    change_project(keys[0].project_id, status)
    publisher.once()

    def blocks() -> list[Block | None]:
        return [decode_key(stores.documents(key.env)[key_document(key.hash)].body).block for key in [*keys, other]]

    message = f"This API key's project is {status.value}. Ask its administrator."
    assert blocks() == [Block(reason="project_suspended", message=message)] * 7 + [None]
    assert OutboxRow.objects.count() == 0
    change_project(keys[0].project_id, Project.Status.ACTIVE)
    publisher.once()
    assert blocks() == [None] * 8


def change_project(project_id: str, status: Project.Status) -> None:
    Project._base_manager.filter(pk=project_id).update(status=status)
    publish_again(Topic.PROJECT, project_id, urgent=status is not Project.Status.ACTIVE)


def test_a_revocation_does_not_wait_for_the_keys_of_a_project(stores, publisher, monkeypatch):
    monkeypatch.setattr("publishing.desired.BATCH", 2)
    tenant = make_tenant()
    keys = [issue(tenant, f"key {number}").key for number in range(9)]
    publisher.once()
    change_project(keys[0].project_id, Project.Status.SUSPENDED)
    settle()
    revoke_key(key=keys[8], by=SOMEBODY)
    settle()
    last = KvEntry.objects.get(key=key_document(keys[8].hash))
    assert decode_key(bytes(last.body)).status is KeyStatus.REVOKED
    assert OutboxRow.objects.filter(topic=Topic.PROJECT).exists(), "the project goes on afterwards"


def test_a_key_that_cannot_be_rendered_does_not_hold_up_its_project(stores, publisher):
    tenant = make_tenant()
    broken, sound = issue(tenant).key, issue(tenant).key
    publisher.once()
    ApiKey._base_manager.filter(pk=broken.pk).update(status="nonsense")
    change_project(sound.project_id, Project.Status.SUSPENDED)
    publisher.once()
    assert decode_key(stores.documents("dev")[key_document(sound.hash)].body).block is not None
    row = OutboxRow.objects.get()
    assert (row.topic, row.object_id, row.attempts, row.urgent) == ("key", broken.id, 1, True)


@pytest.mark.parametrize("topic", [Topic.KEY, Topic.TENANT])
def test_many_objects_take_no_more_queries_than_few(stores, publisher, django_assert_max_num_queries, topic):
    tenants = [make_tenant(f"Tenant {number}") for number in range(30)]
    ids = [issue(tenant).key.id for tenant in tenants] if topic is Topic.KEY else [tenant.id for tenant in tenants]
    with across_tenants("objects of several tenants"):
        for some in (ids[:2], ids):
            with django_assert_max_num_queries(3):
                assert set(render(topic, some, environments=["dev", "prod"])) == set(some)
    OutboxRow.objects.all().delete()
    for each in ids:
        publish_again(topic, each)
    with django_assert_max_num_queries(25):
        assert settle() == 30


def test_revoking_reaches_the_store_with_the_next_pass(stores, publisher):
    key = issue(make_tenant()).key
    publisher.once()
    revoke_key(key=key, by=SOMEBODY)
    publisher.once()
    entry = stores.documents("dev")[key_document(key.hash)]
    assert decode_key(entry.body).status is KeyStatus.REVOKED
    assert (entry.rev, decode_key(entry.body).rev) == (2, 2)


def test_a_revoked_keys_document_is_deleted_a_day_later_and_never_comes_back(stores, publisher):
    with time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False) as clock:
        key = issue(make_tenant()).key
        revoke_key(key=key, by=SOMEBODY)
        publisher.once()
        clock.shift(timedelta(hours=23, minutes=59))
        publisher.once()
        name = key_document(key.hash)
        assert decode_key(stores.documents("dev")[name].body).status is KeyStatus.REVOKED
        clock.shift(timedelta(minutes=1))
        publisher.once()
        assert stores.reader("dev").get(name) is None
        gone = stores.documents("dev")[name]
        assert gone.body is None
        publish_again(Topic.KEY, key.id)
        publisher.once()
        assert stores.documents("dev")[name] == gone
    assert not OutboxRow.objects.exists()


def test_the_same_content_again_writes_nothing(stores, publisher):
    tenant = make_tenant()
    key = issue(tenant).key
    publisher.once()
    publish_again(Topic.KEY, key.id)
    change_tenant(tenant=tenant, name="Another name", time_zone="UTC", currency="EUR", by=SOMEBODY)
    assert publisher.once().published == 0
    assert set(KvEntry.objects.values_list("rev", "published_rev")) == {(1, 1)}
    assert not OutboxRow.objects.exists()


def test_several_changes_of_one_object_become_one_write(stores, publisher):
    key = issue(make_tenant()).key
    disable_key(key=key, by=SOMEBODY)
    revoke_key(key=key, by=SOMEBODY)
    publisher.once()
    entry = KvEntry.objects.get(key=key_document(key.hash))
    assert (entry.rev, entry.published_rev) == (1, 1)
    assert AuditEvent.objects.get(pk=entry.why).kind == "api_key.revoked"


def test_an_object_that_is_gone_before_it_was_published_leaves_no_trace(stores, publisher):
    publish_again(Topic.KEY, "nothing")
    publish_again(Topic.TENANT, "t_nothing")
    publisher.once()
    assert not KvEntry.objects.exists()
    assert not OutboxRow.objects.exists()


def test_an_object_that_cannot_be_rendered_holds_nobody_up_and_is_tried_again(stores, publisher):
    with time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False) as clock:
        tenant = make_tenant()
        broken, sound = issue(tenant).key, issue(tenant).key
        ApiKey._base_manager.filter(pk=broken.pk).update(status="nonsense")
        publisher.once()
        assert list(stores.documents("dev", "key:")) == [key_document(sound.hash)]
        row = OutboxRow.objects.get()
        assert (row.object_id, row.attempts) == (broken.id, 1)
        assert "nonsense" in row.error
        publisher.once()
        assert OutboxRow.objects.get().attempts == 1, "it waits before it is tried again"
        ApiKey._base_manager.filter(pk=broken.pk).update(status="active")
        clock.shift(timedelta(seconds=1))
        publisher.once()
        assert key_document(broken.hash) in stores.documents("dev")
        assert not OutboxRow.objects.exists()


def test_no_document_and_no_log_holds_the_text_of_a_key(stores, publisher, tmp_path, caplog):
    issued = issue(make_tenant())
    with caplog.at_level("DEBUG"):
        publisher.once()
        revoke_key(key=issued.key, by=SOMEBODY)
        publisher.once()
    secret = issued.text.split("_")[3].encode()
    stores.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert secret not in path.read_bytes(), path
    assert secret.decode() not in caplog.text
    for event in AuditEvent.objects.all():
        assert secret.decode() not in f"{event.before} {event.after} {event.target_id}"
    for entry in KvEntry.objects.all():
        assert secret not in bytes(entry.body)
