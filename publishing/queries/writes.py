"""The ledger itself: every document's every rev, with who and why, and what became of it in each store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import BinaryField, Case, Count, F, Max, Q, QuerySet, Value, When
from django.db.models.functions import TruncHour

from changes.models import AuditEvent
from changes.queries import events_by_id
from changes.trail import Naming, Part
from publishing.models import KvEntry, KvVersion
from publishing.queries.health import KINDS
from publishing.says import says
from publishing.subjects import KEY_PREFIX, TENANT_PREFIX, About, Subject, subjects_of
from wire.display import duration
from wire.documents import PRICING_BLOB, PRICING_VERSION, ROUTING_PREFIX, TENANT_PRICING_PREFIX

SHARED = ""  # the tenant of documents that all share


class Narrowed(NamedTuple):
    """What a list of writes is narrowed to; None and "" narrow nothing. `tenants` are ids, "" for what all share."""

    tenants: Collection[str] | None
    env: str = ""
    about: About | None = None
    documents: Collection[str] | None = None
    actors: Collection[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


class Written(NamedTuple):
    """What became of a rev in one store."""

    store: str
    name: str  # its kind's, where an environment has several stores
    text: str  # such as "after 0.3 s", or "waiting"
    kind: str  # the status badge's
    at: datetime | None


class Write(NamedTuple):
    """A document at a rev. `event` is None where its reader may not see why; `linked` when there is a page of it."""

    version: KvVersion
    subject: Subject
    says: str
    event: AuditEvent | None
    sentence: Sequence[Part]
    stores: Sequence[Written]


def find_writes(narrowed: Narrowed, *, before: int | None = None, most: int = 50) -> list[Any]:
    """Revs that match, the newest first: `KvVersion`s with `gone` and `small_body`, which leaves those of prices out.

    `before` is the id of the last one seen. Nothing else keeps tenants apart here: the caller says whose documents its
    reader may see.
    """
    found = _narrowed(narrowed)
    if before is not None:
        found = found.filter(id__lt=before)
    found = found.defer("body").annotate(
        small_body=Case(
            When(key__in=(PRICING_BLOB, PRICING_VERSION), then=Value(None, BinaryField())),
            default=F("body"),
            output_field=BinaryField(null=True),
        ),
        gone=Q(body__isnull=True),
    )
    if narrowed.tenants is None:
        return list(found.order_by("-id")[:most])
    each = [row for tenant in narrowed.tenants for row in found.filter(tenant_id=tenant).order_by("-id")[:most]]
    return sorted(each, key=lambda row: -row.pk)[:most]  # of each tenant by index, rather than of all by reading on


def writes_by_hour(narrowed: Narrowed, *, hours: int, until: datetime, zone: Any) -> list[tuple[datetime, int]]:
    """How many revs were made in each of the last hours; an hour without any is left out."""
    found = _narrowed(narrowed._replace(since=until - timedelta(hours=hours)))
    if narrowed.tenants is not None:
        found = found.filter(tenant_id__in=narrowed.tenants)
    rows = found.annotate(hour=TruncHour("at", tzinfo=zone)).values("hour").annotate(number=Count("id"))
    return [(row["hour"], row["number"]) for row in rows.order_by("hour")]


def _narrowed(narrowed: Narrowed) -> QuerySet[KvVersion]:
    found = KvVersion.objects.all()
    if narrowed.env:
        found = found.filter(env=narrowed.env)
    if narrowed.documents is not None:
        found = found.filter(env__in=settings.SPENDOPS.environments, key__in=narrowed.documents)
    match narrowed.about:
        case About.KEY:
            found = found.filter(key__startswith=KEY_PREFIX)
        case About.TENANT:
            found = found.filter(key__startswith=TENANT_PREFIX)
        case About.OVERRIDES:
            found = found.filter(key__startswith=TENANT_PRICING_PREFIX)
        case About.ROUTING:
            found = found.filter(key__startswith=ROUTING_PREFIX)
        case About.PRICES:
            found = found.filter(env__in=settings.SPENDOPS.environments, key__in=(PRICING_BLOB, PRICING_VERSION))
    if narrowed.actors is not None:
        found = found.filter(why__in=AuditEvent.objects.filter(actor_id__in=narrowed.actors).values("id"))
    if narrowed.since is not None:
        found = found.filter(at__gte=narrowed.since)
    if narrowed.until is not None:
        found = found.filter(at__lt=narrowed.until)
    return found


def explained(versions: Sequence[Any], *, seen_by: Collection[str] | None) -> list[Write]:
    """Writes with what they are about, why they were made, and what became of them. A constant number of queries.

    `seen_by` are the tenants whose events the reader may see, None for all.
    """
    events = events_by_id(version.why for version in versions)
    if seen_by is not None:
        events = {number: event for number, event in events.items() if event.tenant_id in seen_by}
    naming = Naming(events.values())
    documents = {(version.env, version.key) for version in versions}
    subjects = subjects_of(documents)
    became = _Became(documents)
    return [
        Write(
            version=version,
            subject=subjects[version.env, version.key],
            says=says(version.key, version.small_body, deleted=version.gone),
            event=(event := events.get(version.why)),
            sentence=naming.sentence(event) if event else (),
            stores=became.of(version),
        )
        for version in versions
    ]


class _Became:
    """What the stores acknowledged of some documents."""

    def __init__(self, documents: Iterable[tuple[str, str]]) -> None:
        pairs = set(documents)
        where = Q(env__in={env for env, _ in pairs}, key__in={key for _, key in pairs})
        columns = ("rev", "published_rev", "published_at", "parked", "held", "error")
        self._entries: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        for row in KvEntry.objects.filter(where).values("env", "store", "key", *columns):
            self._entries.setdefault((row["env"], row["key"]), {})[row["store"]] = row
        newest = KvVersion.objects.filter(where).values("env", "key").annotate(newest=Max("rev")).order_by()
        self._newest = {(row["env"], row["key"]): row["newest"] for row in newest}

    def of(self, version: KvVersion) -> list[Written]:
        held = self._entries.get((version.env, version.key), {})
        stores = settings.SPENDOPS.stores.get(version.env, ())
        newest = self._newest.get((version.env, version.key), version.rev)
        return [
            Written(store.id, KINDS[store.kind] if len(stores) > 1 else "", *_became(version, held[store.id], newest))
            for store in stores
            if store.id in held
        ]


def _became(version: KvVersion, row: dict[str, Any], newest: int) -> tuple[str, str, datetime | None]:
    """What became of a rev, in words, with the status badge's kind and since when. `newest` is the document's last."""
    published, at = row["published_rev"], row["published_at"]
    if version.rev < newest:
        # when a rev was written is kept of the last one: of older ones, that something newer took their place
        return (f"then rev {newest}" if published >= newest else "overtaken"), "", None
    if published == version.rev and at is not None:
        return f"after {duration(max(0, (at - version.at) // timedelta(milliseconds=1)))}", "ok", at
    if published > version.rev:
        return f"as rev {published}", "ok", at
    if row["held"] and row["parked"]:
        return "held", "warn", None
    if row["parked"]:
        return "parked", "bad", None
    return "waiting", "bad" if row["error"] else "warn", None
