"""The last 30 days of models: who used one, and what calls use, to compare others at. Fragments for pages of prices."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from pricing.forms.compare import MixForm, address_of, chosen_models
from pricing.models import Model
from pricing.queries import model_by_name, names_of_model
from spend.clickhouse.errors import TooMuchError, UnavailableError
from spend.mix import own_mixes
from spend.names import names_of, unnamed
from spend.periods import Choice, period_of
from spend.queries.mix import used_mix
from spend.queries.model_use import ModelUse, User, model_use, model_use_everywhere
from spend.views.live import today_of
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.models import Tenant
from tenants.permissions import Permission, needs

DAYS = 30
USERS_SHOWN = 10
MODELS_OFFERED = 5


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def users(request: HttpRequest, provider: str, model: str) -> HttpResponse:
    """Who used a model: for a platform admin the tenants, for others the projects and keys whose use they may see."""
    request = cast(TenantRequest, request)
    found = model_by_name(provider, model)
    if found is None:
        raise Http404("There is no such model in the catalogue.")
    context: dict[str, Any] = {"model": found, "days": DAYS, "everybody": request.platform_admin}
    context["own"] = Permission.SPEND_VIEW not in request.permissions
    try:
        context |= _tenants(found) if request.platform_admin else _keys(request, found)
    except (UnavailableError, TooMuchError):
        context["unavailable"] = True
    return render(request, "spend/_model_users.html", context)


def _tenants(model: Model) -> dict[str, Any]:
    """Each tenant's days are its own, so tomorrow's may have begun somewhere."""
    today = timezone.now().astimezone(UTC).date()
    found = model_use_everywhere(
        names_of_model(model), today - timedelta(days=DAYS - 1), today + timedelta(days=1), most=USERS_SHOWN
    )
    ids = [each.tenant for each in found.users]
    names = dict(Tenant.objects.filter(pk__in=ids).values_list("pk", "name"))
    return _shown(found, [{"name": names.get(each.tenant, each.tenant), "used": each.used} for each in found.users])


def _keys(request: TenantRequest, model: Model) -> dict[str, Any]:
    seen = keys_seen(request)
    period = period_of(Choice.LAST_30_DAYS, today_of(request.tenant))
    called = names_of_model(model)
    found = model_use(request.tenant.id, called, period.first, period.last, keys=seen, most=USERS_SHOWN)
    names = names_of(request.tenant.id, seen=seen)
    names = names.with_keys(request.tenant.id, (each.key for each in found.users), seen=seen)

    def row(user: User) -> dict[str, Any]:
        query = {"period": Choice.LAST_30_DAYS.value, "key": user.key}
        if len(called) == 1:
            query["model"] = model.model_id
        return {
            "name": names.keys.get(user.key) or unnamed("key")(user.key),
            "project": names.projects.get(user.project) or unnamed("project")(user.project),
            "url": f"{reverse('spend:requests')}?{urlencode(query)}" if user.key in names.keys else "",
            "used": user.used,
        }

    return _shown(found, [row(each) for each in found.users]) | {"period": period}


def _shown(found: ModelUse, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"whole": found.whole, "rows": rows, "more": found.number - len(rows)}


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def mix(request: HttpRequest) -> HttpResponse:
    """Links to the comparison of an address at the use of the tenant's own calls: of all models, and of each."""
    request = cast(TenantRequest, request)
    chosen, _ = chosen_models(request.GET)
    form = MixForm(request.GET)
    period = period_of(Choice.LAST_30_DAYS, today_of(request.tenant))
    context: dict[str, Any] = {"period": period, "own": Permission.SPEND_VIEW not in request.permissions}
    try:
        used = used_mix(request.tenant.id, period.first, period.last, keys=keys_seen(request))
    except (UnavailableError, TooMuchError):
        return render(request, "spend/_own_mix.html", context | {"unavailable": True})
    found = own_mixes(used, wanted=chosen, most=MODELS_OFFERED)
    here = reverse("pricing:compare")
    context["rows"] = [
        {
            "name": each.name,
            "mix": each.mix,
            "url": here + address_of(chosen, each.mix),
            "current": not form.errors and each.mix == form.mix,
        }
        for each in found
    ]
    context["more"] = max(0, len(used) - (len(found) - 1)) if found else 0
    return render(request, "spend/_own_mix.html", context)
