"""The form of a tenant's settings."""

from __future__ import annotations

from babel.numbers import get_currency_name
from django import forms

from tenants.forms.base import ActionForm, name_field
from tenants.rules import currencies, time_zones


class TenantForm(ActionForm):
    """A tenant's settings."""

    name = name_field("Name")
    time_zone = forms.ChoiceField(
        label="Time zone",
        help_text="The tenant's days and budget periods begin at midnight here.",
        choices=lambda: [(zone, zone.replace("_", " ")) for zone in time_zones()],
    )
    currency = forms.ChoiceField(
        label="Reporting currency",
        choices=lambda: [(code, f"{code} · {get_currency_name(code, locale='en')}") for code in currencies()],
    )
