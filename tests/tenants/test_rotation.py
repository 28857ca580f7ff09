"""C11 in the management plane: rotation with grace, and new peppers that leave issued keys as they are."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from changes.models import AuditEvent, OutboxRow
from gateway.rules import key_refusal
from publishing.render import render
from tenants.actions.keys import disable_key, revoke_key, rotate_key
from tenants.errors import AlreadyIssuedError, InvalidSettingError, StatusError
from tenants.models import ApiKey
from tenants.scope import across_tenants, tenant_scope
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import KeyPolicy
from wire.events import Denied
from wire.keys import key_hash, parse_key

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def stored(key: ApiKey) -> ApiKey:
    with tenant_scope(key.tenant_id):
        return ApiKey.objects.get(pk=key.pk)


def published(key: ApiKey) -> KeyPolicy:
    """The key's document as the gateway would read it."""
    with across_tenants("publishing renders every tenant's keys"):
        (document,) = render("key", [key.id], environments=["dev"])[key.id]
    assert document.key == f"key:{stored(key).hash}"
    assert isinstance(document.content, KeyPolicy)
    return document.content


def refused(policy: KeyPolicy, at: datetime) -> str:
    found = key_refusal(policy, env="dev", now=int(at.timestamp() * 1000))
    return found.reason if found else ""


def test_c11_the_old_key_works_until_the_grace_is_over_and_not_after():
    old = issue(make_tenant(), "checkout-web", allowed_models=["gpt-4o*"], denied_models=["o3"]).key
    now = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
    OutboxRow.objects.all().delete()
    with time_machine.travel(now, tick=False):
        new = rotate_key(key=old, grace=DAY, by=SOMEBODY)
    policy = published(old)
    assert refused(policy, now + DAY - timedelta(milliseconds=1)) == ""
    assert refused(policy, now + DAY) == Denied.KEY_EXPIRED
    assert refused(published(new.key), now + 1000 * DAY) == ""
    parsed = parse_key(new.text)
    assert parsed is not None
    assert (parsed.public_id, new.key.hash) == (new.key.id, key_hash(new.text, django_settings.SPENDOPS.pepper))
    same = ("name", "env", "project_id", "tenant_id", "allowed_models", "denied_models", "owner_id")
    assert [getattr(new.key, name) for name in same] == [getattr(old, name) for name in same]
    assert {row.object_id for row in OutboxRow.objects.filter(topic="key")} == {old.id, new.key.id}


def test_c11_without_grace_the_old_key_ends_at_once():
    old = issue(make_tenant()).key
    rotate_key(key=old, grace=timedelta(0), by=SOMEBODY)
    assert refused(published(old), datetime.now(UTC)) == Denied.KEY_EXPIRED


def test_c11_an_expiry_that_is_earlier_stays_and_is_taken_over():
    soon = datetime.now(UTC) + timedelta(hours=2)
    old = issue(make_tenant(), expires_at=soon).key
    new = rotate_key(key=old, grace=DAY, by=SOMEBODY).key
    assert stored(old).expires_at == stored(new).expires_at == soon


def test_c11_a_rotation_is_recorded_on_both_keys():
    old = issue(make_tenant()).key
    new = rotate_key(key=old, grace=DAY, by=SOMEBODY).key
    rotated, issued = AuditEvent.objects.order_by("-id")[:2]
    assert (rotated.kind, rotated.target_id, rotated.before["expires_at"]) == ("api_key.rotated", old.id, None)
    assert rotated.after == {"expires_at": stored(old).expires_at.isoformat(), "replaced_by": new.id}
    assert (issued.kind, issued.target_id, issued.after["replaces"]) == ("api_key.issued", new.id, old.id)


def test_c11_what_cannot_be_rotated_is_refused_and_nothing_is_left_behind():
    tenant = make_tenant()
    keys = [issue(tenant, name).key for name in ("revoked", "disabled", "expired", "rotated", "good")]
    revoked, disabled, expired, rotated, good = keys
    revoke_key(key=revoked, by=SOMEBODY)
    disable_key(key=disabled, by=SOMEBODY)
    with tenant_scope(tenant.id):
        ApiKey.objects.filter(pk=expired.pk).update(expires_at=datetime.now(UTC))
    new = rotate_key(key=rotated, grace=DAY, by=SOMEBODY).key
    events = AuditEvent.objects.count()
    for key, said in ((revoked, "is revoked"), (disabled, "is disabled"), (expired, "is expired")):
        with pytest.raises(StatusError, match=said):
            rotate_key(key=key, grace=DAY, by=SOMEBODY)
    with pytest.raises(AlreadyIssuedError) as again:
        rotate_key(key=rotated, grace=DAY, by=SOMEBODY)
    assert again.value.key_id == new.id
    for grace in (timedelta(days=31), timedelta(seconds=-1)):
        with pytest.raises(InvalidSettingError, match="at most 30 days"):
            rotate_key(key=good, grace=grace, by=SOMEBODY)
    assert AuditEvent.objects.count() == events


def test_c11_the_command_prints_the_new_key_once():
    old = issue(make_tenant()).key
    call_command("rotate_key", old.id, "--grace-hours", "2", "--json", stdout=(out := StringIO()))
    said = json.loads(out.getvalue())
    assert parse_key(said["key"]).public_id == said["id"]
    assert (said["replaces"], said["old_key_works_until"]) == (old.id, stored(old).expires_at.isoformat())
    call_command("rotate_key", said["id"], stdout=(out := StringIO()))
    assert "only time the key is shown" in out.getvalue()
    with pytest.raises(CommandError, match="no key with the id"):
        call_command("rotate_key", "000000000000")


def test_c11_the_page_asks_for_a_passkey_and_shows_the_new_key_once(admin_client, our_key):
    path = f"/keys/{our_key.key.id}/rotate"
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)):
        assert admin_client.post(path, {"grace": "24"}).status_code == 403
    assert stored(our_key.key).replaced_by == ""
    admin_client.step_up()
    assert "Select a valid choice" in admin_client.post(path, {"grace": "5"}).content.decode()
    page = admin_client.post(path, {"grace": "24"})
    new = stored(our_key.key).replaced_by
    assert new in page.content.decode()
    assert page.headers["Cache-Control"].count("no-store") == 1
    again = admin_client.post(path, {"grace": "24"}, follow=True)
    assert again.redirect_chain == [(f"/keys/{new}", 302)]
    assert "was rotated already" in again.content.decode()
    assert "/rotate" not in admin_client.get(f"/keys/{our_key.key.id}").content.decode()


def test_c11_a_new_pepper_hashes_new_keys_and_leaves_old_ones_as_they_are(settings):
    tenant = make_tenant()
    first = issue(tenant)
    settings.SPENDOPS = replace(settings.SPENDOPS, peppers=settings.SPENDOPS.peppers | {3: b"a newer pepper"})
    second = issue(tenant)
    rotated = rotate_key(key=first.key, grace=DAY, by=SOMEBODY)
    assert [stored(each.key).pepper_version for each in (first, second, rotated)] == [1, 3, 3]
    assert stored(second.key).hash == key_hash(second.text, b"a newer pepper")
    before = stored(first.key).hash
    disable_key(key=first.key, by=SOMEBODY)
    published(first.key), published(second.key)  # each under its own hash
    assert stored(first.key).hash == before == key_hash(first.text, settings.SPENDOPS.peppers[1])
