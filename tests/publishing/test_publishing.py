"""From a change in SQL to the document that the gateway reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import settings
from django.db import transaction

from changes.models import AuditEvent, OutboxRow
from changes.record import Publish, Topic, record
from publishing.models import KvEntry
from tenants.actions.keys import disable_key, revoke_key
from tenants.actions.tenants import change_tenant
from tenants.models import ApiKey, Tenant
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyPolicy, KeyStatus, TenantState, decode_key, decode_tenant, key_document, tenant_document
from wire.keys import key_hash


def publish_again(topic: Topic, object_id: str) -> None:
    with transaction.atomic():
        record(
            "test.again", by=SOMEBODY, tenant="", target_kind="x", target_id="x", publish=[Publish(topic, object_id)]
        )


def test_an_issued_key_is_exactly_the_policy_that_the_gateway_reads(stores, publisher):
    tenant = make_tenant()
    until = datetime(2031, 5, 6, 7, 8, 9, 123000, tzinfo=UTC)
    issued = issue(tenant, expires_at=until, allowed_models=["gpt-4o*", "claude-*"], denied_models=["gpt-4o-audio*"])
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
    )


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
