"""The filters of the page of all tenants. They come by GET, so that an address is a view."""

from __future__ import annotations

from django import forms

from spend.across.rows import SORTS
from spend.forms import PeriodForm


class TenantsForm(PeriodForm):
    """A period, an environment, a search, and the column that the rows are ordered by."""

    search = forms.CharField(required=False, max_length=120, label="Tenant")
    show = forms.ChoiceField(choices=[("", "With usage"), ("all", "All tenants")], required=False, label="Show")
    sort = forms.ChoiceField(
        choices=[(name, label) for name, (label, _) in SORTS.items()], required=False, widget=forms.HiddenInput
    )

    @property
    def narrowed(self) -> bool:
        """Whether rows are left out that would be there otherwise."""
        return any(self.value_of(name) for name in ("env", "search", "show"))
