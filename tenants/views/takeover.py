"""Taking over keys of another system: a list is looked at first, then taken over whole."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from access.step_up import step_up_required
from tenants.actions.takeover import TakenOver, take_over_keys
from tenants.errors import ManyRefusedError, RefusedError
from tenants.forms.takeover import TakeOverForm
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from tenants.takeover import COLUMNS, read_list

SHOWN_MOST = 100  # lines of what is wrong, or of what would be done


@needs(Permission.KEYS_ISSUE)
@require_http_methods(["GET", "POST"])
@never_cache
@step_up_required
def take_over(request: HttpRequest) -> HttpResponse:
    """The list, then what it would do, then it is done."""
    request = cast(TenantRequest, request)
    given = request.POST if request.method == "POST" else None
    form = TakeOverForm(given, request.FILES or None, tenant=request.tenant)
    context: dict[str, Any] = {"form": form, "columns": COLUMNS}
    if given is not None and form.is_valid():
        wanted = form.cleaned_data
        try:
            done = take_over_keys(
                tenant=request.tenant,
                listed=read_list(wanted["text"], zone=ZoneInfo(request.tenant.time_zone)),
                project=wanted["project"],
                env=wanted["env"],
                dry_run=given.get("step") != "take",
                by=request.actor,
            )
        except ManyRefusedError as error:
            context |= {"faults": error.faults[:SHOWN_MOST], "more_faults": max(0, len(error.faults) - SHOWN_MOST)}
        except RefusedError as error:
            form.refuse(error)
        else:
            if given.get("step") == "take":
                return _taken(request, done)
            context |= {"done": done, "shown": done.keys[:SHOWN_MOST], "more": max(0, len(done.keys) - SHOWN_MOST)}
    refused = bool(form.errors) or "faults" in context
    return render(request, "tenants/take_over.html", context, status=422 if refused else 200)


def _taken(request: TenantRequest, done: TakenOver) -> HttpResponse:
    keys = f"{len(done.keys):,} key{'' if len(done.keys) == 1 else 's'}"
    skipped = f" {len(done.skipped):,} were here already." if done.skipped else ""
    messages.success(
        request,
        f"{keys} taken over: programs that use them need no new key. They work as soon as the gateways know them, "
        f"within seconds also for thousands.{skipped}",
    )
    return redirect("tenants:keys")
