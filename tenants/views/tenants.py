"""The tenant's settings, and choosing the tenant that is looked at."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from access.middleware import safe_return
from tenants.actions.tenants import change_tenant
from tenants.errors import RefusedError
from tenants.forms.tenants import TenantForm
from tenants.gates import tenant_for
from tenants.http import TenantRequest
from tenants.middleware import CHOSEN
from tenants.permissions import Permission, needs, signed_in


@needs(Permission.SETTINGS_CHANGE)
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """The tenant's name, time zone and currency."""
    request = cast(TenantRequest, request)
    tenant = request.tenant
    form = TenantForm(
        request.POST or None,
        initial={"name": tenant.name, "time_zone": tenant.time_zone, "currency": tenant.currency},
    )
    if request.method == "POST" and form.is_valid():
        try:
            change_tenant(tenant=tenant, **form.cleaned_data, by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, "The settings are saved.")
            return redirect("tenants:settings")
    return render(request, "tenants/settings.html", {"form": form, "tenant": tenant})


@signed_in
@require_POST
def switch(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """Look at another tenant from now on."""
    request = cast(TenantRequest, request)
    tenant = tenant_for(request, tenant_id)
    request.session[CHOSEN] = tenant.id
    return redirect(safe_return(request, request.POST.get("next", "")) or "home")
