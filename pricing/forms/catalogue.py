"""What the pricing pages can be asked by their address."""

from __future__ import annotations

from typing import Any

from django import forms

from pricing.queries import providers


class CatalogueForm(forms.Form):
    """Which models to list. Everything may be left out."""

    q = forms.CharField(required=False, max_length=200, label="Search")
    provider = forms.ChoiceField(required=False, label="Provider")
    deprecated = forms.BooleanField(required=False, label="Deprecated models too")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        listed = [(each.id, f"{each.name} ({models:,})") for each, models in providers()]
        self.fields["provider"].choices = [("", "All providers"), *listed]  # type: ignore[attr-defined]
