"""What every kind of channel can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from alerts.content import Alert
from alerts.models import Channel, Delivery


class DeliveryError(Exception):
    """A message that did not arrive. `permanent`: trying again would change nothing. The text is shown to people."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


@dataclass(frozen=True)
class Rendered:
    """A message as a channel sends it: `html` for mail, `blocks` for Slack, and `text` beside either."""

    subject: str
    text: str
    html: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list)


class ChannelKind(Protocol):
    """One way to reach people."""

    label: str
    icon: str

    def config(self, target: str, *, channel_id: str, tenant_id: str) -> dict[str, Any]:
        """What is stored of what a person typed. Raises RefusedError."""
        ...

    def target(self, channel: Channel) -> str:
        """Where its messages go, as people may read it: never a secret."""
        ...

    def keeps_here(self, channel: Channel) -> bool:
        """Whether messages are kept on the outbox page, because nothing is set up to send them away."""
        ...

    def render(self, alert: Alert) -> Rendered:
        """The message of an alert."""
        ...

    def send(self, delivery: Delivery) -> None:
        """Send a message that was rendered. Raises DeliveryError."""
        ...
