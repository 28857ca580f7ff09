"""Service tokens: see them, issue one (shown once), revoke one."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from access.step_up import step_up_required
from tenants.actions.tokens import IssuedToken, issue_token, revoke_token
from tenants.errors import AlreadyIssuedError, RefusedError
from tenants.forms.tokens import IssueTokenForm
from tenants.gates import service_token_for
from tenants.http import TenantRequest
from tenants.permissions import POLICY, Permission, Role, needs
from tenants.queries import platform_tokens, service_tokens_of
from tenants.views.posting import post_or_page

PER_PAGE = 50


@needs(Permission.TOKENS_MANAGE)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The tenant's tokens; a platform admin also sees those of every tenant."""
    request = cast(TenantRequest, request)
    page = Paginator(service_tokens_of(request.tenant), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "platform": platform_tokens() if request.platform_admin else [],
        "next_url": f"?page={page.next_page_number()}" if page.has_next() else "",
        "first_url": "?" if page.has_previous() else "",
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
    }
    return render(request, "tenants/tokens.html", context)


@needs(Permission.TOKENS_MANAGE)
@require_http_methods(["GET", "POST"])
@never_cache
@step_up_required
def issue(request: HttpRequest) -> HttpResponse:
    """The form of a new token. Its answer, and nothing else ever, shows the token."""
    request = cast(TenantRequest, request)
    platform = POLICY[Role.PLATFORM_ADMIN] if request.platform_admin else frozenset[Permission]()
    form = IssueTokenForm(request.POST or None, tenant=request.tenant, own=request.permissions, platform=platform)
    if request.method == "POST" and form.is_valid():
        try:
            issued = issue_token(confirmed=True, by=request.actor, **form.arguments())
        except AlreadyIssuedError as error:
            messages.info(request, error.message)
            return redirect("tenants:tokens")
        except RefusedError as error:
            form.refuse(error)
        else:
            return _issued(request, issued)
    return render(request, "tenants/token_issue.html", {"form": form})


def _issued(request: HttpRequest, issued: IssuedToken) -> HttpResponse:
    of_every_tenant = "  -H 'X-SpendOps-Tenant: t_…' \\\n" if issued.token.tenant is None else ""
    curl = f"curl {settings.PUBLIC_URL}/api/v1/users/me \\\n{of_every_tenant}  -H 'Authorization: Bearer {issued.text}'"
    return render(request, "tenants/token_issued.html", {"token": issued.token, "text": issued.text, "curl": curl})


@needs(Permission.TOKENS_MANAGE)
@post_or_page("tenants:tokens")
@step_up_required
def revoke(request: HttpRequest, token_id: str) -> HttpResponse:
    """End a token for ever."""
    request = cast(TenantRequest, request)
    token = revoke_token(token=service_token_for(request, token_id), by=request.actor)
    messages.success(request, f"“{token.name}” is revoked: the API refuses it from now on.")
    return redirect("tenants:tokens")
