"""What documents are about, in words: which key, which tenant, the prices. Hashes of keys are shown shortened."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from django.db.models import QuerySet

from tenants.models import ApiKey, Tenant
from wire.documents import (
    PRICING_BLOB,
    PRICING_VERSION,
    ROUTING_PREFIX,
    TENANT_PRICING_PREFIX,
    key_document,
    routing_document,
    tenant_document,
    tenant_pricing_document,
)

KEY_PREFIX, TENANT_PREFIX = key_document(""), tenant_document("")
_OF_TENANTS = {TENANT_PREFIX: "Tenant", TENANT_PRICING_PREFIX: "Overrides", ROUTING_PREFIX: "Selections"}
_ENDS = 6  # characters of a hash that are shown at each end
_PRICES = {PRICING_BLOB: "Price book", PRICING_VERSION: "Price version"}
_FOUND_MOST = 200  # keys and tenants that a text may stand for


class About(StrEnum):
    """The kinds of document."""

    KEY = "key"
    TENANT = "tenant"
    PRICES = "prices"
    OVERRIDES = "overrides"
    ROUTING = "routing"

    @property
    def label(self) -> str:
        return {
            About.KEY: "API keys",
            About.TENANT: "Tenants",
            About.PRICES: "Prices",
            About.OVERRIDES: "Overrides",
            About.ROUTING: "Selections",
        }[self]


class Subject(NamedTuple):
    """What a document is about. `path` names it in addresses, which hold a key's id and not its hash."""

    env: str
    document: str  # its key in KV
    noun: str
    name: str
    id: str = ""
    tenant_id: str = ""

    @property
    def shown(self) -> str:
        """The document's key as it is shown."""
        return shortened(self.document)

    @property
    def path(self) -> str:
        return f"{KEY_PREFIX}{self.id}" if self.noun == "API key" and self.id else self.document


def shortened(document: str) -> str:
    """A document's key with its hash shortened: "key:3f9a01…77c2d1"."""
    rest = document.removeprefix(KEY_PREFIX)
    if rest == document or len(rest) <= 2 * _ENDS:
        return document
    return f"{KEY_PREFIX}{rest[:_ENDS]}…{rest[-_ENDS:]}"


def subjects_of(documents: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Subject]:
    """The subjects of documents, by environment and key, with two queries. Names are found as far as the open tenant
    scope allows.
    """
    wanted = set(documents)
    hashes = {key.removeprefix(KEY_PREFIX) for _, key in wanted if key.startswith(KEY_PREFIX)}
    tenants = {found for _, key in wanted if (found := _tenant_of(key))}
    keys = {
        row["hash"]: row for row in ApiKey.objects.filter(hash__in=hashes).values("hash", "id", "name", "tenant_id")
    }
    names = dict(Tenant.objects.filter(pk__in=tenants).values_list("pk", "name"))
    return {(env, key): _subject(env, key, keys, names) for env, key in wanted}


def _subject(env: str, document: str, keys: dict[str, dict[str, Any]], tenants: dict[str, str]) -> Subject:
    if document in _PRICES:
        return Subject(env, document, "Prices", _PRICES[document])
    if tenant_id := _tenant_of(document):
        noun = next(each for prefix, each in _OF_TENANTS.items() if document.startswith(prefix))
        return Subject(env, document, noun, tenants.get(tenant_id, tenant_id), tenant_id, tenant_id)
    if found := keys.get(document.removeprefix(KEY_PREFIX)):
        return Subject(env, document, "API key", found["name"], found["id"], found["tenant_id"])
    return Subject(env, document, "API key" if document.startswith(KEY_PREFIX) else "Document", shortened(document))


def _tenant_of(document: str) -> str:
    """The tenant that a document of a tenant is about; "" for another document."""
    for prefix in _OF_TENANTS:
        if document.startswith(prefix):
            return document.removeprefix(prefix)
    return ""


def document_at(env: str, path: str) -> str:
    """The key in KV of what an address names: that of a key's id, or the path itself."""
    if path.startswith(KEY_PREFIX):
        hashes = ApiKey.objects.filter(pk=path.removeprefix(KEY_PREFIX), env=env).values_list("hash", flat=True)
        return next((key_document(found) for found in hashes), path)
    return path


def documents_named(text: str, *, tenants: QuerySet[Tenant]) -> set[str]:
    """The documents that a text may mean: of keys and tenants by id or part of a name, or by the document's own key.

    Keys are found as far as the open tenant scope allows, tenants among the given ones.
    """
    keys = ApiKey.objects
    hashes = [
        *keys.filter(pk=text).values_list("hash", flat=True),
        *keys.filter(name__icontains=text).values_list("hash", flat=True)[:_FOUND_MOST],
    ]
    ids = [
        *tenants.filter(pk=text).values_list("pk", flat=True),
        *tenants.filter(name__icontains=text).values_list("pk", flat=True)[:_FOUND_MOST],
    ]
    return {
        text,
        *(key_document(each) for each in hashes),
        *(tenant_document(each) for each in ids),
        *(tenant_pricing_document(each) for each in ids),
        *(routing_document(each) for each in ids),
    }
