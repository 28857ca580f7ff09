"""Forms of API keys."""

from __future__ import annotations

import secrets
from datetime import timedelta
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings

from tenants.forms.base import ActionForm, end_of, lines_of, name_field
from tenants.key_queries import KeyFilter, find_keys
from tenants.models import ApiKey, Project, Tenant
from tenants.queries import users_in


class IssueKeyForm(ActionForm):
    """A new API key. Whatever has a sensible default is filled in."""

    fields_of = {"expires_at": "expires_on"}

    name = name_field("Name", "Who or what will use it. It stands in reports and alerts.", "Billing bot")
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
        return lines_of(self.cleaned_data["allowed_models"])

    def clean_denied_models(self) -> list[str]:
        return lines_of(self.cleaned_data["denied_models"])

    def arguments(self) -> dict[str, Any]:
        """What `issue_key` is called with, besides the tenant and the actor."""
        found = dict(self.cleaned_data)
        day = found.pop("expires_on")
        zone = ZoneInfo(self._tenant.time_zone)
        found["expires_at"] = end_of(day, zone) if day else None
        return found


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
