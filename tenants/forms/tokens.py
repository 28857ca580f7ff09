"""The form of a service token."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.forms.boundfield import BoundWidget

from tenants.forms.base import ActionForm, end_of, in_days, name_field
from tenants.models import Tenant
from tenants.permissions import Permission
from tenants.tokens import DANGEROUS, SCOPES


class IssueTokenForm(ActionForm):
    """A new service token. It may do at most what its issuer may."""

    fields_of = {"expires_at": "expires_on"}

    name = name_field("Name", "What it is for. It stands in the audit trail.", "Nightly report")
    reach = forms.ChoiceField(
        label="For",
        choices=[("tenant", "This tenant"), ("platform", "Every tenant, with a platform admin's scopes")],
        initial="tenant",
    )
    scopes = forms.MultipleChoiceField(
        label="Scopes", widget=forms.CheckboxSelectMultiple, error_messages={"required": "Choose at least one scope."}
    )
    expires_on = forms.DateField(
        label="Works until",
        help_text="The end of this day in the tenant's time zone, at most a year ahead.",
        error_messages={"required": "Choose a day: every token ends.", "invalid": "Write a date like 2027-06-30."},
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    token = forms.CharField(
        required=False, max_length=64, initial=partial(secrets.token_urlsafe, 16), widget=forms.HiddenInput
    )

    def __init__(
        self,
        *args: Any,
        tenant: Tenant,
        own: frozenset[Permission],
        platform: frozenset[Permission],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._tenant, self._own, self._platform = tenant, own, platform
        scopes = cast(forms.MultipleChoiceField, self.fields["scopes"])
        scopes.choices = [(each.value, each.value) for each in SCOPES if each in own | platform]
        self.fields["expires_on"].initial = partial(in_days, 90, ZoneInfo(tenant.time_zone))
        if not platform:
            del self.fields["reach"]

    @property
    def scope_groups(self) -> list[tuple[str, list[BoundWidget]]]:
        """The scopes' check boxes: those that only read or change little, and those that a passkey must confirm."""
        boxes = list(self["scopes"])
        dangerous = [box for box in boxes if box.data["value"] in DANGEROUS]
        return [
            ("Reading, and small changes", [box for box in boxes if box not in dangerous]),
            ("Dangerous: your passkey confirms each that you grant", dangerous),
        ]

    def arguments(self) -> dict[str, Any]:
        """What `issue_token` is called with, besides the actor."""
        found = dict(self.cleaned_data)
        everywhere = found.pop("reach", "tenant") == "platform"
        return {
            "tenant": None if everywhere else self._tenant,
            "grantable": self._platform if everywhere else self._own,
            "name": found["name"],
            "scopes": found["scopes"],
            "expires_at": end_of(found["expires_on"], ZoneInfo(self._tenant.time_zone)),
            "intention": found["token"],
        }
