"""API keys: find them, issue one (shown once), look at one, change what it may do."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from access.models import User
from access.step_up import step_up_required
from changes.queries import events_about
from changes.trail import Naming, differences
from tenants.actions.key_changes import change_key, refuse_revoked
from tenants.actions.keys import IssuedKey, issue_key
from tenants.errors import AlreadyIssuedError, RefusedError, StaleError, StatusError
from tenants.forms.key_lists import KeyFilterForm
from tenants.forms.keys import EditKeyForm, IssueKeyForm, RotateForm, initial_of
from tenants.gates import api_key_for, owner_seen
from tenants.http import TenantRequest
from tenants.key_queries import (
    COUNTED_MOST,
    KeyPage,
    count_keys,
    expiring_soon,
    find_keys,
    page_of_keys,
)
from tenants.models import ApiKey, KeyBatch
from tenants.permissions import Permission, needs
from tenants.snippets import snippets
from wire.display import counted

PER_PAGE = 50
HISTORY_MOST = 20


@needs(Permission.KEYS_VIEW, Permission.KEYS_VIEW_OWN)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The tenant's keys, narrowed and ordered by the address, so that an address is a view."""
    request = cast(TenantRequest, request)
    form = KeyFilterForm(request.GET, tenant=request.tenant, owner=owner_seen(request))
    after = request.GET.get("after", "")
    wanted, kept = form.wanted, form.chosen
    if form.errors:
        found = KeyPage([], "")  # all keys would look as if they matched
    else:
        found = page_of_keys(request.tenant, wanted, order=form.order, after=after, most=PER_PAGE)
    plain = not kept and not after and not form.errors
    for key in found.keys:
        key.owner_name = form.owners.get(key.owner_id, "")  # type: ignore[attr-defined]
    context = {
        "form": form,
        "page": found.keys,
        "actions": KeyBatch.Action.choices,
        "narrowed": form.narrowed,
        "query": urlencode(kept),
        "unreadable": bool(form.errors),
        "next_url": f"?{urlencode(kept | {'after': found.next})}" if found.next else "",
        "first_url": f"?{urlencode(kept)}" if after else "",
        "expiring": expiring_soon(request.tenant, owner=owner_seen(request)) if plain else 0,
        **_counted(request, form, found, whole=not found.next and not after),
    }
    return render(request, "tenants/keys.html", context)


def _counted(request: TenantRequest, form: KeyFilterForm, found: KeyPage, *, whole: bool) -> dict[str, Any]:
    """How many keys there are. A search is not counted: that would read all of the tenant's keys once more."""
    number = len(found.keys)
    if whole or form.errors:
        return {"total": number, "shown": counted(number, "key")}
    if form.wanted.text:
        return {
            "total": 0,
            "shown": f"{number} shown, and more" if found.next else f"The last {counted(number, 'key')}",
        }
    total = count_keys(find_keys(request.tenant, form.wanted))
    capped = total > COUNTED_MOST
    words = f"{COUNTED_MOST:,}+ keys" if capped else counted(total, "key")
    return {"total": 0 if capped else total, "shown": f"{number} of {words}"}


@needs(Permission.KEYS_ISSUE)
@require_http_methods(["GET", "POST"])
@never_cache
@step_up_required
def issue(request: HttpRequest) -> HttpResponse:
    """The form of a new key. Its answer, and nothing else ever, shows the key."""
    request = cast(TenantRequest, request)
    form = IssueKeyForm(request.POST or None, tenant=request.tenant)
    if request.method == "POST" and form.is_valid():
        try:
            issued = issue_key(tenant=request.tenant, by=request.actor, **form.arguments())
        except AlreadyIssuedError as error:
            messages.info(request, error.message)
            return redirect("tenants:key", error.key_id)
        except RefusedError as error:
            form.refuse(error)
        else:
            return show_issued(request, issued)
    return render(request, "tenants/key_issue.html", {"form": form})


def show_issued(request: TenantRequest, issued: IssuedKey, *, instead_of: ApiKey | None = None) -> HttpResponse:
    """The only page that ever shows a key."""
    base_url = settings.GATEWAY_URLS[issued.key.env]
    context = {
        "instead_of": instead_of,
        "key": issued.key,
        "text": issued.text,
        "base_url": base_url,
        "snippets": snippets(issued.text, base_url),
        "sandboxed": not settings.PRODUCTION,
    }
    return render(request, "tenants/key_issued.html", context)


@needs(Permission.KEYS_VIEW, Permission.KEYS_VIEW_OWN)
@require_safe
def detail(request: HttpRequest, key_id: str) -> HttpResponse:
    """One key: what it may do, and what may be done with it."""
    request = cast(TenantRequest, request)
    return show_key(request, api_key_for(request, key_id))


def show_key(request: TenantRequest, key: ApiKey, rotate_form: RotateForm | None = None) -> HttpResponse:
    """The page of a key."""
    context = {
        "key": key,
        "owner": User.objects.filter(pk=key.owner_id).first() if key.owner_id else None,
        "rotate_form": rotate_form or RotateForm(),
        "base_url": settings.GATEWAY_URLS.get(key.env, ""),
        "rotation_due": key.pepper_version != settings.SPENDOPS.pepper_version,
        "history": _history(request, key) if Permission.AUDIT_VIEW in request.permissions else None,
    }
    return render(request, "tenants/key.html", context)


def _history(request: TenantRequest, key: ApiKey) -> list[dict[str, Any]]:
    """What happened to a key, the newest first, each with what it changed."""
    events = events_about("api_key", key.id, tenant=key.tenant_id, most=HISTORY_MOST)
    naming = Naming(events, zone=request.tenant.time_zone)
    return [
        {
            "event": event,
            "parts": naming.sentence(event),
            "differences": [each for each in differences(event, naming) if each.changed] if event.before else [],
        }
        for event in events
    ]


@needs(Permission.KEYS_CHANGE)
@require_http_methods(["GET", "POST"])
@step_up_required
def edit(request: HttpRequest, key_id: str) -> HttpResponse:
    """The form of what a key may do. Of two people who edit it at once, the second is told and loses nothing."""
    request = cast(TenantRequest, request)
    key = api_key_for(request, key_id)
    try:
        refuse_revoked(key)
    except StatusError as error:
        messages.error(request, error.message)
        return redirect("tenants:key", key.id)
    form = EditKeyForm(request.POST or None, tenant=request.tenant, key=key)
    if request.method == "POST" and form.is_valid():
        try:
            version = form.cleaned_data["version"]
            changed = change_key(key=key, settings=form.settings(), version=version or 0, by=request.actor)
        except StaleError as error:
            key = api_key_for(request, key_id)
            form.reopen(initial_of(key, form.zone), error)
        except RefusedError as error:
            form.refuse(error)
        else:
            if changed.version == version:
                messages.info(request, f"Nothing of “{changed.name}” was changed.")
            else:
                messages.success(request, f"“{changed.name}” is changed. Its gateway knows within a second.")
            return redirect("tenants:key", key.id)
    return render(request, "tenants/key_edit.html", {"form": form, "key": key}, status=422 if form.errors else 200)
