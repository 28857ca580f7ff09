"""Forms of tenants."""

from __future__ import annotations

from typing import Any

from babel.numbers import get_currency_name
from django import forms

from tenants.forms.base import name_field
from tenants.forms.editing import EditForm
from tenants.forms.tags import TagsField
from tenants.models import Tenant
from tenants.rules import BILLING_DAY_LAST, QUOTA_MOST, currencies, time_zones
from tenants.tags import text_of_tags

QUOTAS = ("keys_most", "projects_most")


class TenantForm(EditForm):
    """A tenant's settings."""

    name = name_field("Name")
    time_zone = forms.ChoiceField(
        label="Time zone",
        help_text="The tenant's days and budget periods begin at midnight here.",
        choices=lambda: [(zone, zone.replace("_", " ")) for zone in time_zones()],
        initial="UTC",
    )
    currency = forms.ChoiceField(
        label="Reporting currency",
        choices=lambda: [(code, f"{code} · {get_currency_name(code, locale='en')}") for code in currencies()],
        initial="USD",
    )
    billing_day = forms.TypedChoiceField(
        label="Billing day",
        help_text="The day of the month that a bill begins with.",
        choices=[(day, str(day)) for day in range(1, BILLING_DAY_LAST + 1)],
        coerce=int,
        initial=1,
        error_messages={"required": "Choose a day."},
    )
    tags = TagsField()


class ManagedTenantForm(TenantForm):
    """The same for platform admins, with the quotas."""

    field_order = ("name", "time_zone", "currency", "billing_day", "keys_most", "projects_most", "tags")

    keys_most = forms.IntegerField(
        label="API keys at most",
        required=False,
        min_value=0,
        max_value=QUOTA_MOST,
        help_text="How many may exist at the same time. Empty: any number.",
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )
    projects_most = forms.IntegerField(
        label="Projects at most",
        required=False,
        min_value=0,
        max_value=QUOTA_MOST,
        help_text="Archived ones do not count. Empty: any number.",
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )

    def settings(self) -> dict[str, Any]:
        """What `change_tenant` is called with."""
        return {name: value for name, value in self.cleaned_data.items() if name not in QUOTAS}

    def quotas(self) -> dict[str, int | None]:
        """What `set_quotas` is called with."""
        return {name: self.cleaned_data[name] for name in QUOTAS}


def initial_of_tenant(tenant: Tenant) -> dict[str, Any]:
    """What the form of a tenant begins with."""
    return {
        "name": tenant.name,
        "time_zone": tenant.time_zone,
        "currency": tenant.currency,
        "billing_day": tenant.billing_day,
        "tags": text_of_tags(tenant.tags),
        "keys_most": tenant.keys_most,
        "projects_most": tenant.projects_most,
        "version": tenant.version,
    }


class TenantFilterForm(forms.Form):
    """What the list of tenants is narrowed to. A value that is not known narrows nothing."""

    search = True  # the bar has a button to send what is typed

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Name or id"}),
    )
    status = forms.ChoiceField(label="Status", required=False, choices=[("", "Any status"), *Tenant.Status.choices])
