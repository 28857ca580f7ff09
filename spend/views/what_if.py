"""What the last 30 days would have come to: a fragment for the form of an override, and figures for a change set."""

from __future__ import annotations

from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_POST

from pricing.forms.overrides import OverrideForm
from pricing.gates import override_for
from pricing.models import PriceSync
from pricing.override_names import CatalogueNames
from pricing.override_rules import OverrideSettings, has_wildcard
from pricing.queries import sync_by_id
from pricing.queries_overrides import rules_with
from pricing.render import NoPricesError
from spend.clickhouse.errors import TooMuchError, UnavailableError
from spend.what_if import DAYS, WhatIf, with_rules, with_sync
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.models import Tenant
from tenants.permissions import Permission, needs
from wire.display import share_of

MODELS_SHOWN = 5
TENANTS_SHOWN = 20
_NAMES_SHOWN = 6


@needs(Permission.OVERRIDES_CHANGE)
@require_POST
def override_preview(request: HttpRequest) -> HttpResponse:
    """The last 30 days with the override that a form's fields describe; `override` is the one that is changed.

    With `without` instead, they are told without that override.
    """
    request = cast(TenantRequest, request)
    without = request.POST.get("without", "")
    named = without or request.POST.get("override", "")
    override = override_for(request, named) if named else None
    context: dict[str, Any] = {"days": DAYS, "without": bool(without)}
    wanted = None
    if not without:
        form = OverrideForm(request.POST, tenant=request.tenant, override=override)
        wanted, why = _wanted(form)
        if wanted is None:
            return render(request, "spend/_override_preview.html", context | {"unfinished": why})
        context |= _meant(wanted)
    context |= answered(
        lambda: with_rules(request.tenant.id, rules_with(request.tenant.id, wanted, instead_of=override))
    )
    return render(request, "spend/_override_preview.html", context)


def _wanted(form: OverrideForm) -> tuple[OverrideSettings | None, list[str]]:
    """What a form describes, or what it lacks. A name is no matter yet."""
    if not form.data.get("name", "").strip():
        data = cast(QueryDict, form.data).copy()
        data["name"] = "Preview"
        form.data = data
    if not form.is_valid():
        return None, [str(error) for errors in form.errors.values() for error in errors]
    try:
        wanted = form.wanted().clean()
        CatalogueNames().checked(wanted.provider, wanted.model)
    except RefusedError as error:
        return None, [error.message]
    return wanted, []


def _meant(wanted: OverrideSettings) -> dict[str, Any]:
    """Which models of the catalogue a pattern means today."""
    if not (has_wildcard(wanted.provider) or has_wildcard(wanted.model)):
        return {}
    if (wanted.provider, wanted.model) == ("*", "*"):
        return {"meant_all": True}
    found = sorted({model for _, model in CatalogueNames().fitting(wanted.provider, wanted.model)})
    return {"meant": len(found), "meant_names": found[:_NAMES_SHOWN], "meant_more": max(0, len(found) - _NAMES_SHOWN)}


def price_impact(request: TenantRequest, sync: PriceSync) -> dict[str, Any]:
    """What the changes of a sync would have made of the last 30 days, as `spend/_price_impact.html` shows it: for a
    platform admin those of every tenant, for others the tenant's own. Without an "answer" it says why there is none.
    """
    everybody = request.platform_admin
    context: dict[str, Any] = {"days": DAYS, "everybody": everybody}
    context |= answered(lambda: with_sync(sync, tenant_id=None if everybody else request.tenant.id))
    return context | (_by_tenant(context["answer"]) if everybody and "answer" in context else {})


def sync_for(sync_id: int) -> PriceSync:
    """The sync with this id. Raises Http404."""
    sync = sync_by_id(sync_id) if sync_id < 2**63 else None
    if sync is None:
        raise Http404("There is nothing at this address.")
    return sync


def answered(ask: Any) -> dict[str, Any]:
    """An answer with its figures, or why there is none."""
    try:
        answer: WhatIf = ask()
    except UnavailableError:
        return {"unavailable": True}
    except TooMuchError as error:
        return {"too_much": str(error)}
    except NoPricesError:
        return {"no_prices": True}
    concerned = answer.concerned
    return {
        "answer": answer,
        "concerned": concerned,
        "share": share_of(concerned.difference, answer.charge),
        "drift": concerned.held - concerned.before,
        "models": _rows(answer, lambda line: line.model, MODELS_SHOWN),
        "more_models": max(0, len({line.model for line in answer.lines}) - MODELS_SHOWN),
    }


def _rows(answer: WhatIf, group: Any, most: int) -> list[dict[str, Any]]:
    return [
        {"name": name, "line": line, "share": share_of(line.difference, line.before)}
        for name, line in answer.together(group)[:most]
    ]


def _by_tenant(answer: WhatIf) -> dict[str, Any]:
    rows = _rows(answer, lambda line: line.tenant, TENANTS_SHOWN)
    names = dict(Tenant.objects.filter(pk__in=[row["name"] for row in rows]).values_list("pk", "name"))
    for row in rows:
        row["name"] = names.get(row["name"], row["name"])
    number = len({line.tenant for line in answer.lines})
    return {"tenants": rows, "more_tenants": max(0, number - TENANTS_SHOWN), "tenants_concerned": number}
