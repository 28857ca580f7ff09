"""The form of an invitation."""

from __future__ import annotations

from django import forms

from tenants.forms.base import ActionForm
from tenants.permissions import Role
from tenants.roles import role_choices


class InviteForm(ActionForm):
    """Whom to invite, and as what."""

    email = forms.EmailField(
        label="E-mail address",
        help_text="Only whoever has this address can accept.",
        error_messages={"required": "Write an e-mail address.", "invalid": "Write an address like asha@example.com."},
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "asha@example.com"}),
    )
    role = forms.ChoiceField(
        label="Role",
        choices=role_choices,
        initial=Role.FINANCE_VIEWER.value,
        error_messages={"required": "Choose a role."},
    )
