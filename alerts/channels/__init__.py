"""The kinds of channel, one file each. A new one: its file here, its entry in `KINDS`, its choice in the model."""

from __future__ import annotations

from alerts.channels.base import ChannelKind
from alerts.channels.email import EmailKind
from alerts.channels.slack import SlackKind
from alerts.models import Channel

KINDS: dict[str, ChannelKind] = {Channel.Kind.EMAIL: EmailKind(), Channel.Kind.SLACK: SlackKind()}


def kind_of(channel: Channel) -> ChannelKind:
    """What knows how to speak to a channel."""
    return KINDS[channel.kind]
