"""The life of an API key: issued, disabled, enabled, revoked; its text is kept nowhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from changes.models import AuditEvent, OutboxRow
from tenants.actions.keys import disable_key, enable_key, issue_key, revoke_key
from tenants.errors import AlreadyIssuedError, InvalidNameError, InvalidSettingError, StatusError
from tenants.models import ApiKey, Tenant
from tenants.scope import across_tenants, tenant_scope
from tests.tenants.making import SOMEBODY, issue, make_tenant, project_of
from wire.keys import key_hash, parse_key

pytestmark = pytest.mark.django_db


def stored(key: ApiKey) -> ApiKey:
    with tenant_scope(key.tenant_id):
        return ApiKey.objects.get(pk=key.pk)


def test_an_issued_key_is_well_formed_and_only_its_hash_is_kept():
    tenant = make_tenant()
    issued = issue(tenant, allowed_models=["gpt-4o*"], denied_models=["gpt-4o-audio*"])
    key = stored(issued.key)
    parsed = parse_key(issued.text)
    assert parsed is not None
    assert (parsed.env, parsed.public_id) == ("dev", key.id)
    assert key.hash == key_hash(issued.text, settings.SPENDOPS.pepper)
    assert key.last_four == issued.text[-4:]
    assert (key.allowed_models, key.denied_models) == (["gpt-4o*"], ["gpt-4o-audio*"])
    assert key.created_by == SOMEBODY.id
    assert issued.text not in repr(issued)


def test_the_database_holds_the_text_of_no_key():
    issued = issue(make_tenant())
    secret = issued.text.split("_")[3]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            dump = repr(cursor.fetchall())
            assert issued.text not in dump, table
            assert secret[:43] not in dump, table


def test_issuing_is_recorded_and_published():
    tenant = make_tenant()
    OutboxRow.objects.all().delete()
    key = issue(tenant).key
    event = AuditEvent.objects.latest("id")
    assert (event.kind, event.target_id, event.tenant_id) == ("api_key.issued", key.id, tenant.id)
    assert event.after["name"] == "bot"
    assert list(OutboxRow.objects.values_list("topic", "object_id")) == [("key", key.id)]


def test_one_intention_makes_one_key_in_each_tenant():
    ours, theirs = make_tenant("Ours"), make_tenant("Theirs")
    first = issue(ours, token="the same").key
    events = AuditEvent.objects.count()
    with pytest.raises(AlreadyIssuedError, match="was issued already") as refused:
        issue(ours, token="the same")
    assert refused.value.key_id == first.id
    assert AuditEvent.objects.count() == events
    issue(theirs, token="the same")
    issue(ours), issue(ours)


def test_a_key_that_cannot_be_leaves_nothing_behind():
    ours, theirs = make_tenant("Ours"), make_tenant("Theirs")
    events = AuditEvent.objects.count()
    with pytest.raises(InvalidNameError):
        issue(ours, name="")
    with pytest.raises(InvalidSettingError, match="choose one of dev, prod"):
        issue(ours, env="staging")
    with pytest.raises(InvalidSettingError, match="in the past"):
        issue(ours, expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(InvalidSettingError, match="model's name"):
        issue(ours, allowed_models=["gpt 4o"])
    with pytest.raises(InvalidSettingError, match="another tenant"):
        issue_key(tenant=ours, project=project_of(theirs), name="bot", env="dev", by=SOMEBODY)
    Tenant.objects.filter(pk=ours.pk).update(status=Tenant.Status.ARCHIVED)
    ours.refresh_from_db()
    with pytest.raises(StatusError, match="archived"):
        issue(ours)
    with across_tenants("there must be none at all"):
        assert not ApiKey.objects.exists()
    assert AuditEvent.objects.count() == events


def test_a_key_rests_and_works_again():
    key = issue(make_tenant()).key
    assert disable_key(key=key, by=SOMEBODY).status == ApiKey.Status.DISABLED
    assert stored(key).status == ApiKey.Status.DISABLED
    assert enable_key(key=key, by=SOMEBODY).status == ApiKey.Status.ACTIVE
    kinds = list(AuditEvent.objects.filter(target_id=key.id).order_by("id").values_list("kind", flat=True))
    assert kinds == ["api_key.issued", "api_key.disabled", "api_key.enabled"]
    assert OutboxRow.objects.filter(topic="key", object_id=key.id).count() == 3


def test_doing_the_same_again_records_nothing():
    key = issue(make_tenant()).key
    disable_key(key=key, by=SOMEBODY)
    revoked = revoke_key(key=key, by=SOMEBODY)
    before = AuditEvent.objects.count()
    assert revoke_key(key=key, by=SOMEBODY).revoked_at == revoked.revoked_at
    assert AuditEvent.objects.count() == before


def test_a_revoked_key_stays_revoked():
    key = issue(make_tenant()).key
    revoke_key(key=key, by=SOMEBODY)
    for change in (enable_key, disable_key):
        with pytest.raises(StatusError, match="revoked for ever"):
            change(key=key, by=SOMEBODY)
    assert stored(key).status == ApiKey.Status.REVOKED


def test_revoking_publishes_at_once_and_once_more_when_the_day_is_over():
    key = issue(make_tenant()).key
    OutboxRow.objects.all().delete()
    revoked = revoke_key(key=key, by=SOMEBODY)
    now, later = OutboxRow.objects.order_by("due_at")
    assert now.due_at <= timezone.now()
    assert later.due_at == revoked.revoked_at + timedelta(days=1)
    assert {now.object_id, later.object_id} == {key.id}


def test_a_key_expires_by_itself():
    key = issue(make_tenant(), expires_at=timezone.now() + timedelta(hours=1)).key
    assert not key.expired
    key.expires_at = timezone.now()
    assert key.expired
