"""Models that were called and have no price: a tenant's own, and all tenants' for whoever sets prices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from spend.clickhouse.errors import UnavailableError
from spend.forms import SearchForm
from spend.names import MODEL_UNKNOWN
from spend.periods import Choice
from spend.queries.unpriced import UnpricedModel, unpriced_models
from spend.queries.unpriced_everywhere import DAYS
from spend.unpriced import Outstanding, outstanding_models
from spend.views.live import OUT_OF_REACH
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs

OWN = "tenant"  # the choice of somebody who could see all tenants' to see this one's


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The unpriced models, those with most requests first."""
    request = cast(TenantRequest, request)
    sets_prices = Permission.PRICES_CHANGE in request.permissions
    everywhere = sets_prices and request.GET.get("of") != OWN
    form = SearchForm(request.GET, placeholder="Model or provider", of=OWN if sets_prices and not everywhere else "")
    form.is_valid()
    context: dict[str, Any] = {"form": form, "everywhere": everywhere, "sets_prices": sets_prices, "days": DAYS}
    words = form.cleaned_data.get("q", "").lower().split()
    try:
        if everywhere:
            rows = [_outstanding(row) for row in outstanding_models() if _named(row, words)]
        else:
            found = unpriced_models(request.tenant.id, keys=keys_seen(request))
            rows = [_shown(row) for row in found if _named(row, words)]
    except UnavailableError:
        return render(request, "spend/unpriced.html", context | {"unavailable": True}, status=OUT_OF_REACH)
    return render(request, "spend/unpriced.html", context | {"rows": rows, "narrowed": bool(words)})


def _named(row: UnpricedModel | Outstanding, words: list[str]) -> bool:
    return all(word in f"{row.provider} {row.model}".lower() for word in words)


def _shown(row: UnpricedModel) -> dict[str, Any]:
    query = urlencode({"period": Choice.LAST_30_DAYS, "model": row.model})
    return {
        "model": row.model or MODEL_UNKNOWN,
        "provider": row.provider,
        "requests": row.requests,
        "tokens": row.tokens,
        "first_seen": row.first_seen,
        "last_seen": row.last_seen,
        "envs": row.envs,
        "url": f"{reverse('spend:requests')}?{query}" if row.model else "",
    }


def _outstanding(row: Outstanding) -> dict[str, Any]:
    """A row of all tenants'. What is to be re-rated begins a day early: the first day is a tenant's own."""
    use = row.use
    return {
        "model": row.model or MODEL_UNKNOWN,
        "model_id": row.model,
        "provider": row.provider,
        "requests": use.requests if use else 0,
        "tokens": use.tokens if use else 0,
        "tenants": use.tenants if use else 0,
        "first_seen": row.first_seen if row.flagged else None,
        "first_day": row.first_seen.date(),
        "last_day": use.last if use else None,
        "envs": row.envs,
        "priced": row.priced,
        "first": (row.first_seen.date() - timedelta(days=1)).isoformat(),
        "last": (timezone.now().date() + timedelta(days=1)).isoformat(),
    }
