"""Changes of channels."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from alerts.actions.delivering import deliver
from alerts.channels import KINDS
from alerts.content import trial_alert
from alerts.errors import InvalidChannelError, NoSuchChannelError
from alerts.models import Channel, Delivery
from changes.actor import Actor
from changes.record import record
from tenants.actions.standing import hold_open
from tenants.models import Tenant
from tenants.rules import clean_name
from tenants.scope import tenant_scope
from wire.ids import short_id

NAME_LONGEST = 80
DEFAULTS = ((Channel.Kind.EMAIL, "E-mail to admins"), (Channel.Kind.SLACK, "Slack preview"))


def ensure_default_channels(tenant: Tenant) -> None:
    """A tenant that never had a channel gets its two first ones, so that its first alert is seen."""
    with tenant_scope(tenant.id), transaction.atomic():
        if Channel.objects.filter(tenant=tenant).exists():
            return
        made = [Channel(tenant=tenant, kind=kind, name=name) for kind, name in DEFAULTS]
        for channel in made:
            channel.config = KINDS[channel.kind].config("", channel_id=channel.id, tenant_id=tenant.id)
        Channel.objects.bulk_create(made, ignore_conflicts=True)
        record(
            "channels.created",
            by=Actor.system("alerts.defaults"),
            tenant=tenant.id,
            target_kind="tenant",
            target_id=tenant.id,
            after={"channels": [name for _, name in DEFAULTS]},
        )


def add_channel(*, tenant: Tenant, kind: str, name: str, target: str, by: Actor) -> Channel:
    """A new channel. `target` is an e-mail address or a webhook's address. Raises RefusedError."""
    if kind not in KINDS:
        raise InvalidChannelError("A channel is either e-mail or Slack.", field="kind")
    name = clean_name(name, what="channel")
    if len(name) > NAME_LONGEST:
        raise InvalidChannelError(f"The name has {len(name)} characters: write at most {NAME_LONGEST}.", field="name")
    channel = Channel(tenant=tenant, kind=kind, name=name)
    channel.config = KINDS[kind].config(target, channel_id=channel.id, tenant_id=tenant.id)
    with tenant_scope(tenant.id), transaction.atomic():
        hold_open(tenant.id)
        ensure_default_channels(tenant)
        try:
            with transaction.atomic():
                channel.save(force_insert=True)
        except IntegrityError as error:
            raise InvalidChannelError(
                f"There is a channel named “{name}” already: choose another name.", field="name"
            ) from error
        record(
            "channel.added",
            by=by,
            tenant=tenant.id,
            target_kind="channel",
            target_id=channel.id,
            after={"kind": kind, "name": name},
        )
    return channel


def remove_channel(*, channel_id: str, tenant: Tenant, by: Actor) -> Channel:
    """No more alerts go there, and what still waits for it is given up. Raises NoSuchChannelError."""
    with tenant_scope(tenant.id), transaction.atomic():
        channel = _active(channel_id)
        given_up = Delivery.objects.filter(channel=channel, status=Delivery.Status.WAITING).update(
            status=Delivery.Status.DEAD, error="The channel was removed."
        )
        channel.status = Channel.Status.REMOVED
        channel.config = {}  # with it goes the secret that it held
        channel.save(update_fields=["status", "config"])
        record(
            "channel.removed",
            by=by,
            tenant=tenant.id,
            target_kind="channel",
            target_id=channel.id,
            before={"kind": channel.kind, "name": channel.name},
            after={"deliveries_given_up": given_up},
        )
    return channel


def try_channel(*, channel_id: str, tenant: Tenant, by: Actor, now: datetime | None = None) -> Delivery:
    """Put a test message on a channel; it goes the way of every message. Raises NoSuchChannelError."""
    now = now or timezone.now()
    with tenant_scope(tenant.id), transaction.atomic():
        hold_open(tenant.id)
        channel = _active(channel_id)
        alert = trial_alert(tenant, channel_name=channel.name, nonce=short_id("n"), at=now)
        delivery = deliver(channel, alert, now=now)
        record(
            "channel.tested",
            by=by,
            tenant=tenant.id,
            target_kind="channel",
            target_id=channel.id,
            after={"delivery": delivery.id},
        )
    return delivery


def _active(channel_id: str) -> Channel:
    channel = Channel.objects.select_for_update().filter(id=channel_id, status=Channel.Status.ACTIVE).first()
    if channel is None:
        raise NoSuchChannelError("There is no such channel, or it was removed.")
    return channel
