"""What an object of SQL is in KV: its documents of each environment, at rev 0. A document of None is a deletion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from django.utils import timezone

from budgets.queries import tenant_block
from changes.record import Topic
from pricing.render import pricing_blob
from tenants.actions.keys import KEEP_REVOKED
from tenants.models import ApiKey, Tenant
from wire.documents import (
    PRICING_BLOB,
    PRICING_VERSION,
    SCHEMA,
    KeyPolicy,
    KeyStatus,
    TenantState,
    key_document,
    tenant_document,
)
from wire.prices import PricingVersion


class Document(NamedTuple):
    """One document of one environment. `content` is a structure of `wire` at rev 0, or None for none."""

    env: str
    key: str
    tenant_id: str
    content: msgspec.Struct | None


def render(topic: str, object_id: str, *, environments: Sequence[str]) -> list[Document]:
    """The documents of an object as SQL has it now. Raises KeyError for a topic that nobody renders."""
    return _RENDERERS[Topic(topic)](object_id, environments)


def _key(key_id: str, environments: Sequence[str]) -> list[Document]:
    key = ApiKey.objects.filter(pk=key_id).first()
    if key is None or key.env not in environments:
        return []
    name = key_document(key.hash)
    if key.revoked_at is not None and key.revoked_at + KEEP_REVOKED <= timezone.now():
        return [Document(key.env, name, key.tenant_id, None)]
    policy = KeyPolicy(
        rev=0,
        env=key.env,
        tenant=key.tenant_id,
        project=key.project_id,
        key=key.id,
        status=KeyStatus(key.status),
        expires=int(key.expires_at.timestamp() * 1000) if key.expires_at else 0,
        allowed_models=tuple(key.allowed_models),
        denied_models=tuple(key.denied_models),
        allowed_providers=tuple(key.allowed_providers),
        denied_providers=tuple(key.denied_providers),
    )
    return [Document(key.env, name, key.tenant_id, policy)]


def _tenant(tenant_id: str, environments: Sequence[str]) -> list[Document]:
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is None:
        return [Document(env, tenant_document(tenant_id), tenant_id, None) for env in environments]
    suspended = tenant.status != Tenant.Status.ACTIVE
    return [
        Document(
            env,
            tenant_document(tenant.id),
            tenant.id,
            TenantState(rev=0, env=env, tenant=tenant.id, suspended=suspended, block=tenant_block(tenant.id, env)),
        )
        for env in environments
    ]


def _pricing(_: str, environments: Sequence[str]) -> list[Document]:
    found = []
    for env in environments:
        blob = pricing_blob(env=env, rev=0)
        version = PricingVersion(schema=SCHEMA, rev=0, env=env, version=blob.version)
        found += [Document(env, PRICING_BLOB, "", blob), Document(env, PRICING_VERSION, "", version)]
    return found


_RENDERERS: dict[Topic, Callable[[str, Sequence[str]], list[Document]]] = {
    Topic.KEY: _key,
    Topic.TENANT: _tenant,
    Topic.PRICING: _pricing,
}
