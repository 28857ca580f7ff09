"""A customer whose usage a test decides: keys, calls, and what stands in ClickHouse afterwards."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from changes.actor import Actor
from spend.ingest import store_denials, store_usage
from spend.rollup import recount
from spendops.ring.believable import Caller, event_id_at
from tenants.actions.keys import issue_key
from tenants.actions.projects import create_project
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import tenant_scope
from wire.events import DenialEvent, UsageEvent

SOMEBODY = Actor("user", "u_somebody0001", role="tenant_admin", request_id="request-0001")

# name, key, env, provider, model, route, prompt, answer, calls a working day, share at weekends
BELIEVABLE = (
    ("Checkout assistant", "checkout-web", "prod", "openai", "gpt-4o", "/v1/chat/completions", 1800, 350, 60, 0.6),
    ("Support copilot", "copilot-live", "prod", "anthropic", "claude-sonnet-4-5", "/v1/messages", 5200, 600, 45, 0.25),
    ("Search ranking", "search-batch", "prod", "openai", "gpt-4o-mini", "/v1/chat/completions", 900, 60, 140, 0.9),
    ("Search ranking", "search-embed", "prod", "openai", "text-embedding-3-small", "/v1/embeddings", 420, 0, 80, 0.9),
    ("Data platform", "labels", "dev", "google", "gemini-2.5-flash", "/v1/chat/completions", 2600, 240, 40, 0.1),
    ("Internal tools", "notebooks", "dev", "mistral", "acme-private-7b", "/v1/chat/completions", 700, 180, 2, 0.1),
)


class Customer:
    """A tenant with a project and a key; `call` and `refuse` put events where consumers would."""

    def __init__(self, tenant: Tenant, *, zone: str = "UTC") -> None:
        Tenant.objects.filter(id=tenant.id).update(time_zone=zone)
        tenant.refresh_from_db()
        self.tenant = tenant
        self.zone = ZoneInfo(zone)
        self.project = self.new_project("Checkout")
        self.key = self.new_key("checkout-web", self.project)
        self._dice = random.Random(3)

    @property
    def now(self) -> datetime:
        return timezone.now().astimezone(self.zone)

    @property
    def midnight(self) -> datetime:
        """When the customer's day began."""
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0)

    def new_project(self, name: str) -> Project:
        with tenant_scope(self.tenant.id):
            return create_project(tenant=self.tenant, name=name, by=SOMEBODY)

    def new_key(self, name: str, project: Project, env: str = "dev") -> ApiKey:
        with tenant_scope(self.tenant.id):
            return issue_key(tenant=self.tenant, project=project, name=name, env=env, by=SOMEBODY).key

    def event(self, at: datetime | None = None, **fields: Any) -> UsageEvent:
        """A usage event of this customer; without `cost` a fixed one, with None unpriced."""
        at = at or self.now - timedelta(seconds=1)
        cost = fields.pop("cost", "0.000041550000")
        known: dict[str, Any] = {
            "event_id": event_id_at(at, self._dice),
            "ts": int(at.timestamp() * 1000),
            "env": "dev",
            "tenant": self.tenant.id,
            "project": self.project.id,
            "key": self.key.id,
            "route": "/v1/chat/completions",
            "provider": "openai",
            "model_asked": "gpt-4o-mini",
            "model_priced": "gpt-4o-mini" if cost is not None else "",
            "units": {"input": 21, "output": 64},
            "price_version": 1,
            "cost": cost,
            "charge": cost,
            "http_status": 200,
            "duration_ms": 840,
            "request_id": f"req_{self._dice.getrandbits(64):016x}",
        }
        return UsageEvent(**(known | fields))

    def call(self, at: datetime | None = None, **fields: Any) -> UsageEvent:
        """One call, counted."""
        event = self.event(at, **fields)
        self.count([event])
        return event

    @staticmethod
    def count(events: Sequence[UsageEvent]) -> None:
        store_usage(events)
        recount()

    def refuse(self, at: datetime | None = None, **fields: Any) -> DenialEvent:
        """One call that the gateway refused."""
        at = at or self.now - timedelta(seconds=1)
        known: dict[str, Any] = {
            "event_id": event_id_at(at, self._dice),
            "ts": int(at.timestamp() * 1000),
            "env": "dev",
            "tenant": self.tenant.id,
            "project": self.project.id,
            "key": self.key.id,
            "route": "/v1/chat/completions",
            "model_asked": "gpt-4o-mini",
            "http_status": 402,
            "request_id": f"req_{self._dice.getrandbits(64):016x}",
        }
        event = DenialEvent(**(known | fields))
        store_denials([event])
        return event

    def believable_callers(self) -> list[Caller]:
        """Keys of several projects that are used as people use them; for `spendops.ring.believable`."""
        projects: dict[str, Project] = {}
        callers = []
        for name, key, env, *use in BELIEVABLE:
            project = projects.get(name) or projects.setdefault(name, self.new_project(name))
            callers.append(Caller(self.tenant.id, project.id, self.new_key(key, project, env).id, env, *use))
        return callers
