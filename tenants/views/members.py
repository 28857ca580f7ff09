"""Members and invitations of a tenant: who is in it, as what, and who is asked to join."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from access.step_up import step_up_required
from tenants import mail
from tenants.actions.invitations import IssuedInvitation, invite, note_mail, revoke_invitation
from tenants.actions.members import change_role, issue_member_link, remove_member
from tenants.errors import RefusedError
from tenants.forms.members import InviteForm
from tenants.gates import invitation_for, member_for
from tenants.http import TenantRequest
from tenants.models import Invitation
from tenants.people import invitations_of, members_of
from tenants.permissions import Permission, needs
from tenants.roles import role_choices
from tenants.views.posting import post_or_page


@require_http_methods(["GET", "POST"])
@never_cache
@needs(Permission.MEMBERS_VIEW, to_write=Permission.MEMBERS_CHANGE)
@step_up_required
def index(request: HttpRequest) -> HttpResponse:
    """All members and invitations, and a form that invites."""
    request = cast(TenantRequest, request)
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        first = Invitation.Mail.SENDING if mail.is_set_up() else Invitation.Mail.KEPT
        try:
            issued = invite(tenant=request.tenant, **form.cleaned_data, mail=first, by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            return _invited(request, issued)
    return _members(request, form)


def _invited(request: TenantRequest, issued: IssuedInvitation) -> HttpResponse:
    """Once the mail server has the message, nobody here needs the link; else this answer shows it, and none other."""
    invitation, error = issued.invitation, ""
    if invitation.mail == Invitation.Mail.SENDING:
        error = mail.send_invitation(invitation, token=issued.token)
        note_mail(invitation=invitation, error=error, by=request.actor)
        if not error:
            messages.success(request, f"The invitation is on its way to {invitation.email}.")
            return redirect("tenants:members")
    shown = {"invitation": invitation, "link": mail.link_of(issued.token), "mail_error": error}
    return render(request, "tenants/invited.html", shown)


def _members(request: TenantRequest, form: InviteForm) -> HttpResponse:
    invitations = invitations_of(request.tenant)
    context = {
        "members": members_of(request.tenant),
        "waiting": [each for each in invitations if each.status == Invitation.Status.WAITING],
        "past": [each for each in invitations if each.status != Invitation.Status.WAITING],
        "form": form,
        "roles": role_choices(),
        "mail_is_set_up": mail.is_set_up(),
    }
    return render(request, "tenants/members.html", context)


@post_or_page("tenants:members")
@needs(Permission.MEMBERS_CHANGE)
@step_up_required
def role(request: HttpRequest, user_id: str) -> HttpResponse:
    """Give a member another role."""
    request = cast(TenantRequest, request)
    user = member_for(request, user_id)
    try:
        change_role(tenant=request.tenant, user=user, role=request.POST.get("role", ""), by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
        return redirect("tenants:members")
    messages.success(request, f"The role of {user} is changed.")
    return redirect("home" if user == request.user else "tenants:members")


@post_or_page("tenants:members")
@needs(Permission.MEMBERS_CHANGE)
@step_up_required
def remove(request: HttpRequest, user_id: str) -> HttpResponse:
    """Take a member out of the tenant."""
    request = cast(TenantRequest, request)
    user = member_for(request, user_id)
    try:
        remove_member(tenant=request.tenant, user=user, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
        return redirect("tenants:members")
    messages.success(request, f"{user} is no longer a member of “{request.tenant.name}”.")
    return redirect("home" if user == request.user else "tenants:members")


@post_or_page("tenants:members")
@never_cache
@needs(Permission.MEMBERS_CHANGE)
@step_up_required
def link(request: HttpRequest, user_id: str) -> HttpResponse:
    """A one-time link for a member who has lost every passkey, shown once."""
    request = cast(TenantRequest, request)
    user = member_for(request, user_id)
    try:
        issued = issue_member_link(tenant=request.tenant, user=user, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
        return redirect("tenants:members")
    address = f"{settings.PUBLIC_URL}{reverse('access:enrol')}#{issued.token}"
    context = {"person": user, "link": address, "expires_at": issued.expires_at}
    return render(request, "tenants/member_link.html", context)


@post_or_page("tenants:members")
@needs(Permission.MEMBERS_CHANGE)
@step_up_required
def revoke(request: HttpRequest, invitation_id: str) -> HttpResponse:
    """End an invitation."""
    request = cast(TenantRequest, request)
    invitation = invitation_for(request, invitation_id)
    try:
        revoke_invitation(invitation=invitation, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"The invitation of {invitation.email} is revoked: its link no longer works.")
    return redirect("tenants:members")


@require_safe
@needs(Permission.MEMBERS_VIEW)
def letters(request: HttpRequest) -> HttpResponse:
    """The messages of the invitations, for the outbox page. The links in them were shown once and are kept nowhere."""
    request = cast(TenantRequest, request)
    hidden = mail.link_of("…")
    found = [
        (each, mail.subject_of(each), mail.text_of(each, link=hidden))
        for each in invitations_of(request.tenant, most=20)
    ]
    return render(request, "tenants/_letters.html", {"letters": found})
