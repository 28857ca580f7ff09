"""What the pages of selections are asked and sent."""

from __future__ import annotations

from typing import Any

from django import forms

from pricing.selection_rules import USE_LABELS
from tenants.models import Project
from wire.documents import TIERS, USES


class WhoseForm(forms.Form):
    """Whose selections are looked at: the tenant's, or those of one of its projects."""

    project = forms.ChoiceField(required=False, label="For")

    def __init__(self, *args: Any, projects: list[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        listed = [(each.id, each.name) for each in projects]
        self.fields["project"].choices = [("", "All projects"), *listed]  # type: ignore[attr-defined]


class PlaceForm(forms.Form):
    """Which selection is meant: of a use and a tier, for all projects ("") or one; `version` is the one seen."""

    use = forms.ChoiceField(choices=[(each, USE_LABELS[each]) for each in USES])
    tier = forms.ChoiceField(choices=[(each, each.capitalize()) for each in TIERS])
    project = forms.CharField(required=False, max_length=32)
    version = forms.IntegerField(required=False, min_value=0)


class ChooseForm(PlaceForm):
    """The model that is selected."""

    provider = forms.CharField(max_length=64)
    model = forms.CharField(max_length=255)


class SearchForm(forms.Form):
    """Words of the model that is looked for."""

    q = forms.CharField(
        required=False,
        max_length=200,
        label="Search",
        widget=forms.TextInput(attrs={"placeholder": "Model or provider"}),
    )
