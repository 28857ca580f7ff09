"""Models that were called and have no price."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from spend.clickhouse.errors import UnavailableError
from spend.names import MODEL_UNKNOWN
from spend.periods import Choice
from spend.queries.unpriced import UnpricedModel, unpriced_models
from spend.views.live import OUT_OF_REACH
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The last 30 days' unpriced models, those with most requests first."""
    request = cast(TenantRequest, request)
    try:
        rows = unpriced_models(request.tenant.id, keys=keys_seen(request))
    except UnavailableError:
        return render(request, "spend/unpriced.html", {"unavailable": True}, status=OUT_OF_REACH)
    return render(request, "spend/unpriced.html", {"rows": [_shown(row) for row in rows]})


def _shown(row: UnpricedModel) -> dict[str, Any]:
    query = urlencode({"period": Choice.LAST_30_DAYS, "model": row.model})
    return {
        "model": row.model or MODEL_UNKNOWN,
        "provider": row.provider,
        "requests": row.requests,
        "tokens": row.tokens,
        "first_seen": row.first_seen,
        "last_seen": row.last_seen,
        "url": f"{reverse('spend:requests')}?{query}" if row.model else "",
    }
