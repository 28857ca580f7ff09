"""The audit trail's words for alerts and their channels."""

from __future__ import annotations

from collections.abc import Collection

from alerts.models import Channel
from changes.trail import Names, Noun, register


def _channels(ids: Collection[str]) -> Names:
    return dict(Channel.objects.filter(pk__in=ids).values_list("pk", "name"))


def _find_channels(text: str) -> Collection[str]:
    return list(Channel.objects.filter(name__icontains=text).values_list("pk", flat=True)[:200])


register(
    nouns={
        "channel": Noun("Channel", _channels, _find_channels),
        "delivery": Noun("Delivery"),
        "crossing": Noun("Crossing"),
    },
    sentences={
        "alert.announced": "An alert about the budget {after[budget]} went out",
        "channel.added": "{actor} added a channel for alerts, {target}",
        "channel.removed": "{actor} removed the channel {target}",
        "channel.tested": "{actor} sent a test to the channel {target}",
        "channels.created": "{actor} made the first channels for alerts",
        "delivery.retried": "{actor} had the message {target} sent again",
    },
)
