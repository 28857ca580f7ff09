"""The leak check: a text is pasted, the tenant's keys in it are shown, and revoked in one step."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from access.step_up import step_up_required
from tenants.actions.leaks import find_leaks, revoke_leaked
from tenants.errors import RefusedError
from tenants.forms.leaks import OUTDATED, LeakForm, RevokeLeakedForm, sealed
from tenants.http import TenantRequest
from tenants.models import ApiKey
from tenants.permissions import Permission, needs
from tenants.views.posting import post_or_page


@needs(Permission.KEYS_VIEW)
@require_http_methods(["GET", "POST"])
@never_cache
@sensitive_post_parameters()
@sensitive_variables()
def check(request: HttpRequest) -> HttpResponse:
    """The form, and what was found in the text. The answer does not repeat the text."""
    request = cast(TenantRequest, request)
    form = LeakForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            found = find_leaks(tenant=request.tenant, text=form.cleaned_data["text"], by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            working = [each.key.id for each in found.working]
            initial = {"found": sealed(working, tenant=request.tenant)}
            context = {
                "form": LeakForm(),
                "leaks": found,
                "revoke_form": RevokeLeakedForm(tenant=request.tenant, initial=initial),
            }
            return render(request, "tenants/leaks.html", context)
    refused = form.is_bound
    form.data = QueryDict()  # what is wrong is said, and the text not repeated
    return render(request, "tenants/leaks.html", {"form": form}, status=422 if refused else 200)


@needs(Permission.KEYS_REVOKE)
@post_or_page("tenants:key_leaks")
@never_cache
@step_up_required(bound=True)
def revoke(request: HttpRequest) -> HttpResponse:
    """Revoke all that were found, once their number was typed."""
    request = cast(TenantRequest, request)
    form = RevokeLeakedForm(request.POST, tenant=request.tenant)
    if form.is_valid():
        revoked = revoke_leaked(tenant=request.tenant, key_ids=form.cleaned_data["keys"], by=request.actor)
        number = f"{len(revoked)} key{'' if len(revoked) == 1 else 's'}"
        messages.success(request, f"{number} revoked: the gateway refuses them from now on.")
        return redirect("tenants:key_leaks")
    if "keys" not in form.cleaned_data:
        messages.error(request, OUTDATED)
        return redirect("tenants:key_leaks")
    keys = ApiKey.objects.filter(pk__in=form.cleaned_data["keys"]).select_related("project").order_by("name")
    context = {"form": LeakForm(), "revoke_form": form, "again": list(keys)}
    return render(request, "tenants/leaks.html", context, status=422)
