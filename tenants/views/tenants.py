"""The installation's tenants, one's own settings, and choosing the tenant that is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from access.middleware import safe_return
from access.step_up import step_up_required
from tenants.actions.tenants import (
    archive_tenant,
    bring_back_tenant,
    change_tenant,
    create_tenant,
    resume_tenant,
    set_quotas,
    suspend_tenant,
)
from tenants.errors import RefusedError, StaleError
from tenants.forms.ending import NamedReasonForm
from tenants.forms.tenants import ManagedTenantForm, TenantFilterForm, TenantForm, initial_of_tenant
from tenants.gates import managed_tenant_for, tenant_for
from tenants.http import TenantRequest
from tenants.middleware import CHOSEN
from tenants.models import Tenant
from tenants.permissions import Permission, needs, signed_in
from tenants.scope import across_tenants, tenant_scope
from tenants.tenant_queries import find_tenants, living_projects
from tenants.views.posting import post_or_page

PER_PAGE = 50


@needs(Permission.TENANTS_CHANGE)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The installation's tenants, narrowed by the address."""
    form = TenantFilterForm(request.GET)
    form.is_valid()
    text, status = form.cleaned_data.get("q", "").strip(), form.cleaned_data.get("status", "")
    kept = {name: value for name, value in (("q", text), ("status", status)) if value}
    with across_tenants("a platform admin looks after all tenants; their projects are only counted"):
        page = Paginator(find_tenants(text=text, status=status), PER_PAGE).get_page(request.GET.get("page"))
        rows = list(page.object_list)
    context = {
        "form": form,
        "page": page,
        "rows": rows,
        "narrowed": bool(kept),
        "next_url": f"?{urlencode(kept | {'page': page.next_page_number()})}" if page.has_next() else "",
        "first_url": f"?{urlencode(kept)}" if page.has_previous() else "",
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
    }
    return render(request, "tenants/tenants.html", context)


@needs(Permission.TENANTS_CREATE)
@require_http_methods(["GET", "POST"])
@step_up_required
def new(request: HttpRequest) -> HttpResponse:
    """The form of a new tenant."""
    request = cast(TenantRequest, request)
    form = ManagedTenantForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = {name: value for name, value in form.cleaned_data.items() if name != "version" and value is not None}
        try:
            tenant = create_tenant(**given, by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Tenant “{tenant.name}” is created, with a first project.")
            return redirect("tenants:tenant", tenant.id)
    return render(request, "tenants/tenant_new.html", {"form": form}, status=422 if form.errors else 200)


@needs(Permission.TENANTS_CHANGE)
@require_safe
def detail(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """One tenant: its facts, and what may be done with it."""
    request = cast(TenantRequest, request)
    return _detail(request, managed_tenant_for(request, tenant_id))


def _detail(request: TenantRequest, tenant: Tenant, *, refused: NamedReasonForm | None = None) -> HttpResponse:
    with tenant_scope(tenant.id):
        projects = living_projects(tenant)
    context = {
        "tenant": tenant,
        "projects": projects,
        "end_form": refused or NamedReasonForm(named=tenant.name),
        "looked_at": tenant.id == request.tenant.id,
    }
    return render(request, "tenants/tenant.html", context, status=422 if refused else 200)


@needs(Permission.TENANTS_CHANGE)
@require_http_methods(["GET", "POST"])
@step_up_required
def change(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """A tenant's settings and quotas, for platform admins."""
    request = cast(TenantRequest, request)
    tenant = managed_tenant_for(request, tenant_id)
    form = ManagedTenantForm(request.POST or None, initial=initial_of_tenant(tenant))
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                changed = change_tenant(tenant=tenant, **form.settings(), by=request.actor)
                set_quotas(tenant=changed, **form.quotas(), by=request.actor)
        except StaleError as error:
            form.reopen(initial_of_tenant(managed_tenant_for(request, tenant_id)), error)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"“{changed.name}” is saved.")
            return redirect("tenants:tenant", tenant.id)
    context = {"form": form, "tenant": tenant}
    return render(request, "tenants/tenant_edit.html", context, status=422 if form.errors else 200)


@needs(Permission.TENANTS_CHANGE)
@post_or_page("tenants:tenant", "tenant_id")
@step_up_required(bound=True)
def suspend(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """Refuse all calls of a tenant, once its name was typed."""
    said = "“{}” is suspended: the gateway refuses its keys from now on."
    return _stop(request, tenant_id, suspend_tenant, said)


@needs(Permission.TENANTS_CHANGE)
@post_or_page("tenants:tenant", "tenant_id")
@step_up_required(bound=True)
def archive(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """End the use of a suspended tenant, once its name was typed."""
    said = "“{}” is archived: nothing of it can be changed, and its spend stays readable."
    return _stop(request, tenant_id, archive_tenant, said)


def _stop(request: HttpRequest, tenant_id: str, action: Callable[..., Tenant], said: str) -> HttpResponse:
    known = cast(TenantRequest, request)
    tenant = managed_tenant_for(known, tenant_id)
    form = NamedReasonForm(request.POST, named=tenant.name)
    if form.is_valid():
        try:
            action(tenant=tenant, reason=form.cleaned_data["reason"], by=known.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, said.format(tenant.name))
            return redirect("tenants:tenant", tenant.id)
    return _detail(known, tenant, refused=form)


@needs(Permission.TENANTS_CHANGE)
@post_or_page("tenants:tenant", "tenant_id")
@step_up_required
def resume(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """Let a suspended tenant's calls pass again."""
    return _start(request, tenant_id, resume_tenant, "“{}” is active again: its calls pass.")


@needs(Permission.TENANTS_CHANGE)
@post_or_page("tenants:tenant", "tenant_id")
@step_up_required
def bring_back(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """Make an archived tenant a suspended one."""
    said = "“{}” is back, and still suspended: resume it to let its keys work."
    return _start(request, tenant_id, bring_back_tenant, said)


def _start(request: HttpRequest, tenant_id: str, action: Callable[..., Tenant], said: str) -> HttpResponse:
    known = cast(TenantRequest, request)
    tenant = managed_tenant_for(known, tenant_id)
    try:
        action(tenant=tenant, by=known.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said.format(tenant.name))
    return redirect("tenants:tenant", tenant.id)


@needs(Permission.SETTINGS_CHANGE)
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """One's own tenant's settings. Its quotas are shown: a platform admin sets them."""
    request = cast(TenantRequest, request)
    tenant = request.tenant
    form = TenantForm(request.POST or None, initial=initial_of_tenant(tenant))
    if request.method == "POST" and form.is_valid():
        try:
            change_tenant(tenant=tenant, **form.cleaned_data, by=request.actor)
        except StaleError as error:
            form.reopen(initial_of_tenant(Tenant.objects.get(pk=tenant.pk)), error)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, "The settings are saved.")
            return redirect("tenants:settings")
    context = {"form": form, "tenant": tenant, "projects": living_projects(tenant)}
    return render(request, "tenants/settings.html", context)


@signed_in
@post_or_page("home")
def switch(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """Look at another tenant from now on."""
    request = cast(TenantRequest, request)
    tenant = tenant_for(request, tenant_id)
    request.session[CHOSEN] = tenant.id
    return redirect(safe_return(request, request.POST.get("next", "")) or "home")
