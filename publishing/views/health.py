"""How each store stands, what its gateways say, and everything anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from access.step_up import step_up_required
from publishing.charts import writes_chart
from publishing.errors import RepublishError
from publishing.live import ask_gateways
from publishing.queries.health import health, kept
from publishing.queries.writes import Narrowed, explained, find_writes, writes_by_hour
from publishing.republish import start_republish, stop_republish
from publishing.views.seen import naming_scope, seen_by
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from tenants.views.posting import post_or_page

HOURS = 24
_PLOT_SECONDS = 30  # how old the plot may be: counting reads every write of a day
_NEWEST = 8


@needs(Permission.PUBLISHING_VIEW)
@require_safe
def ledger(request: HttpRequest) -> HttpResponse:
    """Every environment's stores, and the newest writes. Asked by htmx, only what changes by itself."""
    request = cast(TenantRequest, request)
    seen = seen_by(request)
    with naming_scope(request):
        context: dict[str, Any] = {
            "environments": health(settings.SPENDOPS.environments, seen_by=seen),
            "writes": explained(find_writes(Narrowed(seen), most=_NEWEST), seen_by=seen),
        }
    if request.htmx:
        return render(request, "publishing/_health.html", context)
    return render(request, "publishing/ledger.html", context | _plot(request))


def _plot(request: TenantRequest) -> dict[str, Any]:
    seen, zone = seen_by(request), ZoneInfo(request.tenant.time_zone)
    until = timezone.now()
    counted = dict(
        kept(
            f"publishing.writes_by_hour.{zone}.{'all' if seen is None else ','.join(seen)}",
            lambda: writes_by_hour(Narrowed(seen), hours=HOURS, until=until, zone=zone),
            seconds=_PLOT_SECONDS,
        )
    )
    newest = until.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    hours = [(newest.astimezone(ZoneInfo("UTC")) - timedelta(hours=back)).astimezone(zone) for back in range(HOURS)]
    table = [(hour, counted.get(hour, 0)) for hour in reversed(hours)]
    return {"plot": writes_chart(table), "plot_rows": table, "plotted": sum(number for _, number in table)}


@needs(Permission.PUBLISHING_VIEW)
@require_safe
def gateways(request: HttpRequest) -> HttpResponse:
    """What each environment's gateway says of itself."""
    return render(request, "publishing/_gateways.html", {"gateways": ask_gateways(settings.GATEWAY_URLS)})


@needs(Permission.PUBLISHING_REPAIR)
@post_or_page("publishing:ledger")
@step_up_required(bound=True)
def republish(request: HttpRequest, env: str) -> HttpResponse:
    """Publish everything of an environment anew."""
    request = cast(TenantRequest, request)
    try:
        begun = start_republish(env=_known(env), by=request.actor)
        messages.success(request, f"Everything in {env} is published anew: {begun.total:,} documents.")
    except RepublishError as error:
        messages.error(request, str(error))
    return redirect("publishing:ledger")


@needs(Permission.PUBLISHING_REPAIR)
@post_or_page("publishing:ledger")
@step_up_required
def republish_stop(request: HttpRequest, env: str) -> HttpResponse:
    """Leave it where it is."""
    request = cast(TenantRequest, request)
    try:
        stopped = stop_republish(env=_known(env), by=request.actor)
        messages.success(request, f"Stopped after {stopped.done:,} of {stopped.total:,} documents of {env}.")
    except RepublishError as error:
        messages.error(request, str(error))
    return redirect("publishing:ledger")


def _known(env: str) -> str:
    if env not in settings.SPENDOPS.environments:
        raise Http404("There is nothing at this address.")
    return env
