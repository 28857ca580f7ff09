"""Changes of many API keys at once: confirmed for exactly those that were chosen, then worked off with progress."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

from django.contrib import messages
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from access.step_up import step_up_required
from tenants.actions.key_batches import AT_ONCE, begin_batch, work_off
from tenants.errors import RefusedError
from tenants.forms.key_lists import BatchForm, KeyFilterForm
from tenants.gates import key_batch_for
from tenants.http import TenantRequest
from tenants.key_queries import find_keys
from tenants.middleware import forbidden
from tenants.models import ApiKey, KeyBatch
from tenants.permissions import Permission, needs
from wire.display import counted

NOTHING_NEW = 204  # htmx leaves the page as it is
SHOWN = 10
CHANGED_MEANWHILE = 409

_Action = KeyBatch.Action
_NEEDED = {_Action.DISABLE: Permission.KEYS_REVOKE, _Action.ENABLE: Permission.KEYS_REVOKE}
_NEEDED[_Action.REVOKE] = Permission.KEYS_REVOKE  # all others change what a key may do


class Chosen(NamedTuple):
    """The chosen keys: their ids in order, and a digest that stands for exactly these."""

    ids: Sequence[str]
    every: bool  # whether all that match were chosen, not some that were ticked
    named_by: Sequence[tuple[str, str]]  # the fields that choose them again
    summary: str  # of the filters that they match
    first: Iterable[ApiKey]  # some of them, by name

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.ids).encode()).hexdigest()


@needs(Permission.KEYS_CHANGE, Permission.KEYS_REVOKE)
@require_http_methods(["GET", "POST"])
@step_up_required(bound=True)
def confirm(request: HttpRequest) -> HttpResponse:
    """What is about to be done to which keys. The address names them, and the form again; a passkey confirms these."""
    request = cast(TenantRequest, request)
    asked = request.POST if request.method == "POST" else request.GET
    action = asked.get("action", "")
    if action not in _Action.values:
        messages.error(request, "Choose what is to be done with the keys.")
        return redirect("tenants:keys")
    needed = _NEEDED.get(_Action(action), Permission.KEYS_CHANGE)
    if needed not in request.permissions:
        return forbidden(request, frozenset({needed}))
    if asked.get("all") and KeyFilterForm(asked, tenant=request.tenant).errors:
        messages.error(request, "A filter is not known here, so no key was chosen: filter the list anew.")
        return redirect("tenants:keys")
    chosen = _chosen(request, asked)
    if not chosen.ids:
        messages.error(request, "No key is chosen: tick some, or choose all that match.")
        return redirect("tenants:keys")
    form = BatchForm(
        request.POST or None, tenant=request.tenant, action=action, total=len(chosen.ids), digest=chosen.digest
    )
    status = 200
    if request.method == "POST":
        if request.POST.get("digest") != chosen.digest:
            status = CHANGED_MEANWHILE
            form = _anew(request, action, chosen)
        elif form.is_valid():
            try:
                return _begun(request, action, chosen, form)
            except RefusedError as error:
                form.refuse(error)
        if form.errors:
            status = 422
    context = _context(request, action, chosen) | {"form": form, "changed_meanwhile": status == CHANGED_MEANWHILE}
    return render(request, "tenants/key_batch_confirm.html", context, status=status)


def _chosen(request: TenantRequest, asked: QueryDict) -> Chosen:
    every = bool(asked.get("all"))
    form = KeyFilterForm(asked if every else {}, tenant=request.tenant)
    keys = find_keys(request.tenant, form.wanted)
    if not every:
        keys = keys.filter(pk__in=asked.getlist("key")[:AT_ONCE])
    again = {**form.chosen, "all": "1"} if every else {}
    ids = list(keys.order_by("pk").values_list("pk", flat=True))
    named_by = [*again.items()] if every else [("key", pk) for pk in ids]
    return Chosen(ids, every, named_by, form.summary, keys.order_by(Lower("name"), "pk")[:SHOWN])


def _anew(request: TenantRequest, action: str, chosen: Chosen) -> BatchForm:
    return BatchForm(tenant=request.tenant, action=action, total=len(chosen.ids), digest=chosen.digest)


def _begun(request: TenantRequest, action: str, chosen: Chosen, form: BatchForm) -> HttpResponse:
    batch = begin_batch(
        tenant_id=request.tenant.id, action=action, keys=chosen.ids, arguments=form.arguments(), by=request.actor
    )
    if batch.total <= AT_ONCE:
        work_off(batch)
    return redirect("tenants:key_batch", batch.id)


def _context(request: TenantRequest, action: str, chosen: Chosen) -> dict[str, Any]:
    return {
        "action": action,
        "label": _Action(action).label,
        "total": len(chosen.ids),
        "words": counted(len(chosen.ids), "key"),
        "chosen": chosen,
        "keys": chosen.first,
        "more": max(0, len(chosen.ids) - SHOWN),
        "in_pieces": len(chosen.ids) > AT_ONCE,
    }


@needs(Permission.KEYS_VIEW)
@require_safe
def detail(request: HttpRequest, batch_id: str) -> HttpResponse:
    """How far a change of many keys is, and what it came to. 204 while that is what the page has `seen`."""
    request = cast(TenantRequest, request)
    batch = key_batch_for(request, batch_id)
    if request.GET.get("seen") == str(batch.done):
        return HttpResponse(status=NOTHING_NEW)
    live = bool(request.htmx)
    context = {
        "batch": batch,
        "label": batch.get_action_display(),
        "skipped": sorted(batch.skipped.items(), key=lambda pair: -pair[1]),
        "left_alone": sum(batch.skipped.values()),
    }
    return render(request, "tenants/_key_batch.html" if live else "tenants/key_batch.html", context)
