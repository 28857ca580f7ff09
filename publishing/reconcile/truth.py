"""What SQL says now about documents: the objects behind them, rendered afresh, whatever the ledger has of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import structlog
from django.db.models import Q
from django.utils import timezone

from changes.models import OutboxRow
from changes.record import Topic
from pricing.queries import current_book
from pricing.queries_overrides import tenants_with_overrides
from pricing.queries_selections import tenants_with_selections
from publishing.entries import content_digest
from publishing.models import KvEntry
from publishing.render import render
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

log = structlog.get_logger(__name__)

PRICES = "blob"  # the price book's object id
_KEY = key_document("")
_TENANT = tenant_document("")


class Thing(NamedTuple):
    """An object of SQL that has documents."""

    topic: Topic
    id: str
    project: str = ""  # of an API key: what is waiting to be published of it concerns the key


class Truth(NamedTuple):
    """What a document should say by SQL. `digest` is of the content at rev 0, "" for a deletion."""

    thing: Thing
    digest: str


def truths(env: str, keys: Collection[str]) -> dict[str, Truth | None]:
    """What SQL says of these documents. Absent: SQL has no such object. None: it is waiting to be published, or cannot
    be rendered just now, which the ledger shows.
    """
    return _rendered(env, _things(env, keys), only=set(keys))


def truths_without_entry(env: str, store: str, *, piece: int) -> Iterator[dict[str, Truth | None]]:
    """What SQL says of documents that the ledger has no entry of in this store, a piece after the other."""
    for things in _every_thing(env, piece):
        known = _known(env, store, things)
        named = {name: thing for name, thing in things.items() if name not in known}
        if named:
            yield _rendered(env, named, only=set(named))


def _things(env: str, keys: Collection[str]) -> dict[str, Thing]:
    """The objects behind documents, by the document's key."""
    found = {}
    hashes = [key.removeprefix(_KEY) for key in keys if key.startswith(_KEY)]
    for pk, key_hash, project in ApiKey.objects.filter(env=env, hash__in=hashes).values_list("pk", "hash", "project"):
        found[key_document(key_hash)] = Thing(Topic.KEY, pk, project)
    tenants = [key.removeprefix(_TENANT) for key in keys if key.startswith(_TENANT)]
    for pk in Tenant.objects.filter(pk__in=tenants).values_list("pk", flat=True):
        found[tenant_document(pk)] = Thing(Topic.TENANT, pk)
    charged = [key.removeprefix(TENANT_PRICING_PREFIX) for key in keys if key.startswith(TENANT_PRICING_PREFIX)]
    for pk in Tenant.objects.filter(pk__in=charged).values_list("pk", flat=True):
        found[tenant_pricing_document(pk)] = Thing(Topic.OVERRIDES, pk)
    routed = [key.removeprefix(ROUTING_PREFIX) for key in keys if key.startswith(ROUTING_PREFIX)]
    for pk in Tenant.objects.filter(pk__in=routed).values_list("pk", flat=True):
        found[routing_document(pk)] = Thing(Topic.ROUTING, pk)
    if not {PRICING_BLOB, PRICING_VERSION}.isdisjoint(keys):
        found |= _prices()
    return found


def _every_thing(env: str, piece: int) -> Iterator[dict[str, Thing]]:
    yield _prices()
    for tenants in _pages(Tenant.objects.values_list("pk"), piece):
        yield {tenant_document(pk): Thing(Topic.TENANT, pk) for (pk,) in tenants}
    for tenants in _pages(tenants_with_overrides(), piece):
        yield {tenant_pricing_document(pk): Thing(Topic.OVERRIDES, pk) for (pk,) in tenants}
    for tenants in _pages(tenants_with_selections(), piece):
        yield {routing_document(pk): Thing(Topic.ROUTING, pk) for (pk,) in tenants}
    for keys in _pages(ApiKey.objects.filter(env=env).values_list("pk", "hash", "project"), piece):
        yield {key_document(key_hash): Thing(Topic.KEY, pk, project) for pk, key_hash, project in keys}


def _prices() -> dict[str, Thing]:
    if current_book() is None:
        return {}
    return dict.fromkeys((PRICING_BLOB, PRICING_VERSION), Thing(Topic.PRICING, PRICES))


def _pages(rows: Any, piece: int) -> Iterator[list[Any]]:
    last = ""
    while page := list(rows.filter(pk__gt=last).order_by("pk")[:piece]):
        yield page
        last = page[-1][0]


def _known(env: str, store: str, keys: Collection[str]) -> set[str]:
    return set(KvEntry.objects.filter(env=env, store=store, key__in=keys).values_list("key", flat=True))


def _rendered(env: str, things: dict[str, Thing], *, only: set[str]) -> dict[str, Truth | None]:
    by_topic: dict[Topic, dict[str, Thing]] = {}
    for thing in things.values():
        by_topic.setdefault(thing.topic, {})[thing.id] = thing
    found: dict[str, Truth | None] = dict.fromkeys(only & things.keys())
    for topic, named in by_topic.items():
        for key, digest in _digests(env, topic, list(named)).items():
            if key in found:
                found[key] = Truth(things[key], digest)
    waiting = _waiting(set(things.values()))  # asked after rendering: what was committed before it is among them
    for key, thing in things.items():
        if thing in waiting:
            found[key] = None
    return found


def _digests(env: str, topic: Topic, ids: Sequence[str]) -> dict[str, str]:
    try:
        rendered = render(topic, ids, environments=[env])
    except Exception as error:  # whatever a renderer raises concerns one object only: the others are found by trying
        if len(ids) > 1:
            return dict(each for one in ids for each in _digests(env, topic, [one]).items())
        log.warning("An object cannot be rendered", topic=topic, object=ids[0], error=str(error)[:500])
        return {}
    return {document.key: content_digest(document.content) for found in rendered.values() for document in found}


def _waiting(things: set[Thing]) -> set[Thing]:
    """Those that the outbox has a row of which is due: they are on their way already."""
    due = OutboxRow.objects.filter(Q(due_at__lte=timezone.now()) | Q(attempts__gt=0))
    ids = [thing.id for thing in things] + [thing.project for thing in things if thing.project]
    rows = set(due.filter(object_id__in=set(ids)).values_list("topic", "object_id"))
    return {thing for thing in things if {(thing.topic.value, thing.id), (Topic.PROJECT.value, thing.project)} & rows}
