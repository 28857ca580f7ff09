from __future__ import annotations

import json

import pytest

from alerts.actions.channels import add_channel, ensure_default_channels, remove_channel
from alerts.channels import kind_of
from alerts.errors import InvalidChannelError, NoSuchChannelError
from alerts.models import Channel
from changes.models import AuditEvent
from tenants.errors import RefusedError
from tests.alerts.conftest import channels
from tests.budgets.making import SOMEBODY

HOOK = "https://hooks.slack.com/services/T000/B000/verySecretToken"


def add(tenant, kind="slack", target=HOOK, name="Team"):
    return add_channel(tenant=tenant, kind=kind, name=name, target=target, by=SOMEBODY)


def test_a_webhooks_address_is_sealed_and_only_its_end_is_shown(tenant):
    channel = add(tenant)
    assert kind_of(channel).target(channel) == "hooks.slack.com …oken"
    kept = json.dumps([each.config for each in channels()])
    events = json.dumps(list(AuditEvent.objects.values_list("before", "after")))
    assert "verySecret" not in kept + events
    assert "services" not in kept + events


def test_removing_a_channel_forgets_its_secret_and_frees_its_name(tenant):
    channel = add(tenant)
    remove_channel(channel_id=channel.id, tenant=tenant, by=SOMEBODY)
    assert channels()[-1].config == {}
    with pytest.raises(NoSuchChannelError):
        remove_channel(channel_id=channel.id, tenant=tenant, by=SOMEBODY)
    add(tenant)


def test_default_channels_come_once_and_stay_removed(tenant):
    ensure_default_channels(tenant)
    ensure_default_channels(tenant)
    assert [(each.kind, each.name) for each in channels()] == [
        ("email", "E-mail to admins"),
        ("slack", "Slack preview"),
    ]
    for each in channels():
        remove_channel(channel_id=each.id, tenant=tenant, by=SOMEBODY)
    ensure_default_channels(tenant)
    assert {each.status for each in channels()} == {Channel.Status.REMOVED}


@pytest.mark.parametrize(
    ("kind", "name", "target", "field"),
    [
        ("email", "Finance", "not an address", "target"),
        ("slack", "Team", "hooks.slack.com/services/x", "target"),
        ("slack", "Team", "http://hooks.slack.com/services/x", "target"),
        ("slack", "Team", "https://user:pass@hooks.slack.com/x", "target"),
        ("slack", "Team", "https://127.0.0.1/x", "target"),
        ("slack", "Team", "https://[::1]/x", "target"),
        ("slack", "Team", "https://hooks.slack.com:99999/x", "target"),
        ("slack", "Team", "https://hooks.slack.com/" + "x" * 600, "target"),
        ("slack", "", HOOK, "name"),
        ("slack", "x" * 81, HOOK, "name"),
        ("pigeon", "Loft", "", "kind"),
    ],
)
def test_what_cannot_be_a_channel_is_explained_at_its_field(tenant, kind, name, target, field):
    with pytest.raises(RefusedError) as refused:
        add(tenant, kind, target, name)
    assert refused.value.field == field
    assert channels() == []


def test_two_channels_of_a_name_are_refused(tenant, stranger):
    add(tenant)
    add(stranger)
    with pytest.raises(InvalidChannelError, match="already"):
        add(tenant)


def test_another_tenants_channel_is_not_there(tenant, stranger):
    channel = add(tenant)
    with pytest.raises(NoSuchChannelError):
        remove_channel(channel_id=channel.id, tenant=stranger, by=SOMEBODY)
