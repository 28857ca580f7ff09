"""Forms of keys, projects and a tenant's settings. What is allowed is said by `rules`, through the actions."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from babel.numbers import get_currency_name
from django import forms
from django.conf import settings
from django.forms.boundfield import BoundWidget

from tenants.errors import RefusedError
from tenants.models import ApiKey, Project, Tenant
from tenants.permissions import Permission, Role
from tenants.queries import KeyFilter, find_keys, users_in
from tenants.roles import role_choices
from tenants.rules import NAME_LONGEST, currencies, time_zones
from tenants.tokens import DANGEROUS, SCOPES


class ActionForm(forms.Form):
    """A form whose action may still refuse what it holds."""

    fields_of: dict[str, str] = {}  # an action's argument -> the field that it comes from, where the names differ

    def refuse(self, error: RefusedError) -> None:
        """Show what the action refused, at the field at fault."""
        name = self.fields_of.get(error.field, error.field)
        self.add_error(name if name in self.fields else None, error.message)


def _name_field(label: str, help_text: str = "", placeholder: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=NAME_LONGEST,
        help_text=help_text,
        error_messages={"required": "Write a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": placeholder}),
    )


class ProjectForm(ActionForm):
    """A project's name."""

    name = _name_field("Name", "Spend is grouped by project. Example: Support assistant.")


class TenantForm(ActionForm):
    """A tenant's settings."""

    name = _name_field("Name")
    time_zone = forms.ChoiceField(
        label="Time zone",
        help_text="The tenant's days and budget periods begin at midnight here.",
        choices=lambda: [(zone, zone.replace("_", " ")) for zone in time_zones()],
    )
    currency = forms.ChoiceField(
        label="Reporting currency",
        choices=lambda: [(code, f"{code} · {get_currency_name(code, locale='en')}") for code in currencies()],
    )


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


class IssueKeyForm(ActionForm):
    """A new API key. Whatever has a sensible default is filled in."""

    fields_of = {"expires_at": "expires_on"}

    name = _name_field("Name", "Who or what will use it. It stands in reports and alerts.", "Billing bot")
    project: forms.ModelChoiceField[Project] = forms.ModelChoiceField(
        label="Project",
        queryset=None,
        empty_label="Choose a project",
        error_messages={
            "required": "Choose the project that this key's spend counts for.",
            "invalid_choice": "This project is not there any more: choose another one.",
        },
    )
    env = forms.ChoiceField(label="Environment", help_text="Each has its own gateway and its own keys.")
    owner = forms.ChoiceField(
        label="Owner",
        required=False,
        help_text="A developer sees this key and its usage when it is theirs. Empty: it is the whole tenant's.",
    )
    expires_on = forms.DateField(
        label="Works until",
        required=False,
        help_text="The end of this day in the tenant's time zone. Empty: the key does not expire.",
        error_messages={"invalid": "Write a date like 2027-06-30."},
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    allowed_models = forms.CharField(
        label="Allowed models",
        required=False,
        help_text="One a line, with * for any part: gpt-4o*. Empty: every model.",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )
    denied_models = forms.CharField(
        label="Denied models",
        required=False,
        help_text="One a line. A denied model stays denied when it is allowed above, too.",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )

    token = forms.CharField(
        required=False, max_length=64, initial=partial(secrets.token_urlsafe, 16), widget=forms.HiddenInput
    )

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tenant = tenant
        projects = Project.objects.filter(tenant=tenant).order_by("name")
        project = cast(forms.ModelChoiceField, self.fields["project"])
        project.queryset = projects
        only = list(projects[:2])
        if len(only) == 1:
            project.initial = only[0].pk
        names = settings.SPENDOPS.environments
        environment = cast(forms.ChoiceField, self.fields["env"])
        environment.choices = [(name, name) for name in names]
        environment.initial = names[0]
        owner = cast(forms.ChoiceField, self.fields["owner"])
        owner.choices = [("", "Nobody in particular"), *((each.pk, str(each)) for each in users_in(tenant))]

    def clean_allowed_models(self) -> list[str]:
        return _lines(self.cleaned_data["allowed_models"])

    def clean_denied_models(self) -> list[str]:
        return _lines(self.cleaned_data["denied_models"])

    def arguments(self) -> dict[str, Any]:
        """What `issue_key` is called with, besides the tenant and the actor."""
        found = dict(self.cleaned_data)
        day = found.pop("expires_on")
        zone = ZoneInfo(self._tenant.time_zone)
        found["expires_at"] = _end_of(day, zone) if day else None
        return found


class IssueTokenForm(ActionForm):
    """A new service token. It may do at most what its issuer may."""

    fields_of = {"expires_at": "expires_on"}

    name = _name_field("Name", "What it is for. It stands in the audit trail.", "Nightly report")
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
        self.fields["expires_on"].initial = partial(_in_days, 90, ZoneInfo(tenant.time_zone))
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
            "expires_at": _end_of(found["expires_on"], ZoneInfo(self._tenant.time_zone)),
            "intention": found["token"],
        }


def _in_days(days: int, zone: ZoneInfo) -> date:
    return datetime.now(zone).date() + timedelta(days=days)


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    within_calendar = min(day, date.max.replace(year=date.max.year - 1))  # the last day has no UTC in every zone
    return datetime.combine(within_calendar, time(23, 59, 59), zone).astimezone(UTC)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace(",", "\n").splitlines() if line.strip()]


class KeyFilterForm(forms.Form):
    """What the list of keys is narrowed to. A value that is not known narrows nothing."""

    q = forms.CharField(label="Search", required=False, max_length=200)
    status = forms.ChoiceField(label="Status", required=False, choices=[("", "Any status"), *ApiKey.Status.choices])
    env = forms.ChoiceField(label="Environment", required=False)
    project: forms.ModelChoiceField[Project] = forms.ModelChoiceField(
        label="Project", required=False, queryset=None, empty_label="Any project"
    )

    def __init__(self, *args: Any, tenant: Tenant, owner: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        environment = cast(forms.ChoiceField, self.fields["env"])
        project = cast(forms.ModelChoiceField, self.fields["project"])
        environment.choices = [("", "Any environment"), *((name, name) for name in settings.SPENDOPS.environments)]
        projects = Project.objects.filter(tenant=tenant)
        if owner:  # whoever sees own keys only need not know of other projects
            projects = projects.filter(id__in=find_keys(tenant, KeyFilter(owner=owner)).values("project_id"))
        project.queryset = projects.order_by("name")


class RotateForm(ActionForm):
    """How long the old key goes on working."""

    grace = forms.TypedChoiceField(
        label="The old key works for",
        choices=[("1", "1 more hour"), ("24", "1 more day"), ("168", "7 more days"), ("0", "no longer: it ends now")],
        initial="24",
        coerce=lambda hours: timedelta(hours=int(hours)),
    )


class RevokeForm(ActionForm):
    """The name of the key, typed to show that this very key is meant."""

    name = forms.CharField(
        label="Type the key's name to revoke it", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._key = key

    def clean_name(self) -> str:
        typed = str(self.cleaned_data["name"])
        if typed.strip() != self._key.name:
            raise forms.ValidationError(f"That is not the name of this key. Type “{self._key.name}”.")
        return typed
