"""What objects of SQL are in KV: their documents of each environment, at rev 0. A document of None is a deletion.

Many objects of a topic are read with a constant number of queries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from django.utils import timezone

from budgets.queries import tenant_blocks
from changes.record import Topic
from pricing.queries_overrides import newest_books, rules_in
from pricing.queries_selections import selections_by_tenant
from pricing.render import pricing_blob
from tenants.actions.keys import KEEP_REVOKED
from tenants.models import ApiKey, Project, Tenant
from wire.documents import (
    PRICING_BLOB,
    PRICING_VERSION,
    SCHEMA,
    Block,
    KeyPolicy,
    KeyStatus,
    Selected,
    TenantRouting,
    TenantState,
    key_document,
    project_stopped,
    routing_document,
    tenant_document,
    tenant_pricing_document,
)
from wire.events import Denied
from wire.overrides import TenantPricing
from wire.prices import PricingVersion


class Document(NamedTuple):
    """One document of one environment. `content` is a structure of `wire` at rev 0, or None for none."""

    env: str
    key: str
    tenant_id: str
    content: msgspec.Struct | None

    @property
    def urgent(self) -> bool:
        """Whether it takes something away from somebody."""
        match self.content:
            case None:
                return True
            case KeyPolicy(status=status, block=block):
                return status is not KeyStatus.ACTIVE or block is not None
            case TenantState(suspended=suspended, stopped=stopped, block=block):
                return suspended or bool(stopped) or block is not None
        return False


Rendered = dict[str, list[Document]]  # by the object's id; objects that are in no environment are absent


def render(topic: str, ids: Sequence[str], *, environments: Sequence[str]) -> Rendered:
    """The documents of objects as SQL has them now. Raises KeyError for a topic that nobody renders, and whatever one
    of the objects cannot be rendered for.
    """
    return _RENDERERS[Topic(topic)](ids, environments)


def keys_of_project(project_id: str, *, after: str, most: int) -> list[str]:
    """The ids of a project's keys behind one of them, in order: a project's documents are those of its keys."""
    keys = ApiKey.objects.filter(project_id=project_id, id__gt=after).order_by("id")
    return list(keys.values_list("id", flat=True)[:most])


def _keys(ids: Sequence[str], environments: Sequence[str]) -> Rendered:
    now = timezone.now()
    keys = ApiKey.objects.filter(pk__in=ids, env__in=environments).select_related("project")
    return {key.id: [_key(key, now)] for key in keys}


def _key(key: ApiKey, now: datetime) -> Document:
    name = key_document(key.hash)
    if key.revoked_at is not None and key.revoked_at + KEEP_REVOKED <= now:
        return Document(key.env, name, key.tenant_id, None)
    policy = KeyPolicy(
        rev=0,
        env=key.env,
        tenant=key.tenant_id,
        project=key.project_id,
        key=key.id,
        status=KeyStatus(key.status),
        not_before=_ms(key.not_before),
        expires=_ms(key.expires_at),
        allowed_models=tuple(key.allowed_models),
        denied_models=tuple(key.denied_models),
        allowed_providers=tuple(key.allowed_providers),
        denied_providers=tuple(key.denied_providers),
        networks=tuple(key.networks),
        tier=key.tier,
        rpm=key.rpm,
        tpm=key.tpm,
        concurrency=key.concurrency,
        tags=dict(sorted(key.tags.items())),  # SQL engines keep the order of JSON objects as they like
        block=_project_block(key.project),
    )
    return Document(key.env, name, key.tenant_id, policy)


def _ms(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1000) if moment else 0


def _project_block(project: Project) -> Block | None:
    """Without the project's name, which may change while its keys' documents do not."""
    if project.status == Project.Status.ACTIVE:
        return None
    return Block(
        reason=Denied.PROJECT_SUSPENDED,
        message=project_stopped(Project.Status(project.status).value),
    )


def _tenants(ids: Sequence[str], environments: Sequence[str]) -> Rendered:
    tenants = Tenant.objects.in_bulk(list(ids))
    blocks = tenant_blocks(list(tenants), environments)
    stopped = _stopped_projects(tenants)
    return {
        tenant_id: [
            Document(
                env,
                tenant_document(tenant_id),
                tenant_id,
                _tenant(tenants[tenant_id], env, stopped[tenant_id], blocks.get((tenant_id, env)))
                if tenant_id in tenants
                else None,
            )
            for env in environments
        ]
        for tenant_id in ids
    }


def _tenant(tenant: Tenant, env: str, stopped: dict[str, str], block: Block | None) -> TenantState:
    suspended = tenant.status != Tenant.Status.ACTIVE
    return TenantState(rev=0, env=env, tenant=tenant.id, suspended=suspended, stopped=stopped, block=block)


def _stopped_projects(tenant_ids: Iterable[str]) -> defaultdict[str, dict[str, str]]:
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    projects = Project.objects.filter(tenant__in=list(tenant_ids)).exclude(status=Project.Status.ACTIVE).order_by("id")
    for tenant_id, project_id, status in projects.values_list("tenant_id", "id", "status"):
        found[tenant_id][project_id] = status
    return found


def _pricing(ids: Sequence[str], environments: Sequence[str]) -> Rendered:
    found = []
    for env in environments:
        blob = pricing_blob(env=env, rev=0)
        version = PricingVersion(schema=SCHEMA, rev=0, env=env, version=blob.version)
        found += [Document(env, PRICING_BLOB, "", blob), Document(env, PRICING_VERSION, "", version)]
    return dict.fromkeys(ids, found)


def _overrides(ids: Sequence[str], environments: Sequence[str]) -> Rendered:
    """The newest version of tenants' overrides; none for a tenant without rules."""
    books = newest_books(ids)
    found: Rendered = {}
    for tenant_id in ids:
        book = books.get(tenant_id)
        rules = rules_in(book) if book is not None else ()
        found[tenant_id] = [
            Document(
                env,
                tenant_pricing_document(tenant_id),
                tenant_id,
                TenantPricing(schema=SCHEMA, rev=0, env=env, tenant=tenant_id, version=book.version, rules=rules)
                if book is not None and rules
                else None,
            )
            for env in environments
        ]
    return found


def _routing(ids: Sequence[str], environments: Sequence[str]) -> Rendered:
    """What tenants' tiers stand for; none for a tenant that selected nothing."""
    chosen = selections_by_tenant(ids)
    found: Rendered = {}
    for tenant_id in ids:
        selected = tuple(
            Selected(use=row.use, tier=row.tier, provider=row.provider, model=row.model, project=row.project_id or "")
            for row in chosen.get(tenant_id, ())
        )
        found[tenant_id] = [
            Document(
                env,
                routing_document(tenant_id),
                tenant_id,
                TenantRouting(rev=0, env=env, tenant=tenant_id, selections=selected) if selected else None,
            )
            for env in environments
        ]
    return found


_RENDERERS: dict[Topic, Callable[[Sequence[str], Sequence[str]], Rendered]] = {
    Topic.KEY: _keys,
    Topic.TENANT: _tenants,
    Topic.PRICING: _pricing,
    Topic.OVERRIDES: _overrides,
    Topic.ROUTING: _routing,
}
