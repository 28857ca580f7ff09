"""Who did something: what every action is told by its caller, so that actions never see a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """The one who acts. Only ids: names are looked up when an audit event is shown."""

    kind: str  # "user", "service_token" or "system"
    id: str
    role: str = ""
    address: str = ""
    request_id: str = ""

    @classmethod
    def system(cls, name: str) -> Actor:
        """A job of ours, such as `Actor.system("pricing.sync")`."""
        return cls(kind="system", id=name)
