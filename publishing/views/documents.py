"""One document: what gateways shall know, what they read, and what it said before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple, cast

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from changes.record import Topic
from publishing.live import Reading, read_stores
from publishing.models import KvEntry
from publishing.queries.documents import history, is_to_be_rendered, newest_version, rows_of
from publishing.says import Change, changes_between, fields_of, pretty, says
from publishing.subjects import Subject, document_at, subjects_of
from publishing.views.seen import naming_scope, page_end, seen_by
from tenants.gates import api_key_for, tenant_for
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import duration
from wire.documents import key_document, tenant_document
from wire.kv.base import digest_of

_NOT_THERE = "There is nothing at this address."
_JSON_LONGEST = 20_000  # characters of a body that are shown


@needs(Permission.PUBLISHING_VIEW)
@require_safe
def detail(request: HttpRequest, env: str, document: str) -> HttpResponse:
    """A document's desired state and its history. The page asks for what the stores hold, as they may be slow."""
    request = cast(TenantRequest, request)
    seen, before = seen_by(request), page_end(request)
    with naming_scope(request):
        key = document_at(env, document)
        rows = _rows(request, env, key)
        revisions, more = history(env, key, seen_by=seen, before=before)
        subject = subjects_of([(env, key)])[env, key]
    row = rows[0]
    body = None if row.body is None else bytes(row.body)
    text = pretty(body)
    context = {
        "env": env,
        "path": document,
        "subject": subject,
        "own": subject.tenant_id == request.tenant.id,
        "row": row,
        "says": says(key, body, deleted=body is None),
        "says_since": newest_version(env, key),
        "fields": fields_of(key, body),
        "json": text[:_JSON_LONGEST],
        "json_cut": len(text) > _JSON_LONGEST,
        "stores": _fed(rows, env),
        "revisions": revisions,
        "older": before is not None,
        "next_url": f"?before={revisions[-1].version.rev}" if more else "",
        "first_url": "?" if before is not None else "",
    }
    return render(request, "publishing/document.html", context)


class Held(NamedTuple):
    """What a store holds of a document, beside what it shall hold."""

    reading: Reading
    row: KvEntry | None
    read_by_gateways: bool
    text: str
    kind: str  # the status badge's
    digest: str
    changes: Sequence[Change]


@needs(Permission.PUBLISHING_VIEW)
@require_safe
def stores(request: HttpRequest, env: str, document: str) -> HttpResponse:
    """What each store holds of a document at this moment: what a gateway reads."""
    request = cast(TenantRequest, request)
    with naming_scope(request):
        key = document_at(env, document)
        rows = {row.store: row for row in _rows(request, env, key)}
    fed = settings.SPENDOPS.stores.get(env, ())
    read = next((store.id for store in fed if store.readable), "")
    found = [
        _held(key, reading, rows.get(reading.store.id), read_by_gateways=reading.store.id == read)
        for reading in read_stores(fed, key)
    ]
    return render(request, "publishing/_document_stores.html", {"held": found})


def _held(key: str, reading: Reading, row: KvEntry | None, *, read_by_gateways: bool) -> Held:
    entry, body = reading.entry, None if row is None or row.body is None else bytes(row.body)
    wanted = digest_of(body)
    changes: Sequence[Change] = ()
    digest = entry.digest if entry else ""
    if reading.error:
        text, kind = "Not readable", "bad"
    elif row is None:
        text, kind = ("Not published here", "warn") if entry is None else ("Not of ours", "warn")
    elif entry is None or entry.deleted:
        text, kind = ("Deleted, as it should be", "ok") if not wanted else ("Missing", "bad")
    elif entry.rev == row.rev and entry.digest == wanted:
        text, kind = "Equal", "ok"
    else:
        text, kind = ("Behind", "warn") if entry.rev < row.rev else ("Different", "bad")
        found = changes_between(key, body, entry.body) if entry.body is not None else []
        changes = [change for change in found if not change.models]  # these name what was before and after
    return Held(reading, row, read_by_gateways, text, kind, digest, changes)


@needs(Permission.KEYS_VIEW, Permission.KEYS_VIEW_OWN)
@require_safe
def key_view(request: HttpRequest, key_id: str) -> HttpResponse:
    """A line for the key's own page: which rev of it the gateway knows."""
    request = cast(TenantRequest, request)
    key = api_key_for(request, key_id)
    subject = subjects_of([(key.env, key_document(key.hash))])[key.env, key_document(key.hash)]
    return _line(request, [subject], Topic.KEY, key.id)


@needs(Permission.PUBLISHING_VIEW)
@require_safe
def tenant_view(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """A line an environment for the tenant's own page: which rev of it the gateway knows."""
    request = cast(TenantRequest, request)
    tenant = tenant_for(request, tenant_id)
    name = tenant_document(tenant.id)
    found = [Subject(env, name, "Tenant", tenant.name, tenant.id, tenant.id) for env in settings.SPENDOPS.environments]
    return _line(request, found, Topic.TENANT, tenant.id)


def _line(request: TenantRequest, subjects: Sequence[Subject], topic: Topic, object_id: str) -> HttpResponse:
    lines = [{"subject": subject, **_known(subject)} for subject in subjects]
    to_render = is_to_be_rendered(topic, object_id)
    settled = not to_render and all(line["settled"] for line in lines)  # until then the line asks again by itself
    context = {"lines": lines, "to_render": to_render, "settled": settled}
    return render(request, "publishing/_known.html", context)


def _known(subject: Subject) -> dict[str, Any]:
    rows = rows_of(subject.env, subject.document, seen_by=None)
    read = next((store.id for store in settings.SPENDOPS.stores[subject.env] if store.readable), "")
    row = next((row for row in rows if row.store == read), None)
    version = newest_version(subject.env, subject.document)
    took = ""
    if row and version and row.published_at and row.published_rev == version.rev == row.rev:
        took = duration(max(0, (row.published_at - version.at) // timedelta(milliseconds=1)))
    settled = row is not None and (row.parked or row.published_rev >= row.rev)
    return {"row": row, "took": took, "settled": settled}


def _rows(request: TenantRequest, env: str, key: str) -> list[KvEntry]:
    rows = rows_of(env, key, seen_by=seen_by(request))
    if not rows:
        raise Http404(_NOT_THERE)
    return rows


def _fed(rows: Sequence[KvEntry], env: str) -> list[dict[str, Any]]:
    by_store = {row.store: row for row in rows}
    return [{"store": store, "row": by_store.get(store.id)} for store in settings.SPENDOPS.stores.get(env, ())]
