"""What the catalogue can be asked by its address."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from django import forms

from pricing.facts import CAPABILITIES, TIERS
from pricing.listing import Order, Standing, Wanted
from pricing.queries import providers
from wire.money import MoneyError, decimal_from_micro, micro_from_text, pico_per_unit

CONTEXTS = (
    ("", "Any length"),
    ("32000", "32K or more"),
    ("128000", "128K or more"),
    ("200000", "200K or more"),
    ("1000000", "1M or more"),
)
STANDINGS = (
    (Standing.CURRENT, "Current models"),
    (Standing.DEPRECATED, "Deprecated"),
    (Standing.GONE, "No longer listed"),
    (Standing.BY_HAND, "Priced by hand"),
    (Standing.UNPRICED, "Without a price"),
    (Standing.ALL, "All of them"),
)
ORDERS = (
    (Order.NAME, "Provider and model"),
    (Order.INPUT, "Input, cheapest first"),
    (Order.INPUT_DOWN, "Input, dearest first"),
    (Order.OUTPUT, "Output, cheapest first"),
    (Order.OUTPUT_DOWN, "Output, dearest first"),
    (Order.CONTEXT_DOWN, "Longest context first"),
)
# the names that facts have in the catalogue, where they are not already words
CAPABILITY_WORDS = {name: name.replace("_", " ").capitalize() for name in CAPABILITIES}
TIER_WORDS = {name: name.capitalize() for name in TIERS}


class CatalogueForm(forms.Form):
    """Which models to list, and in which order. A value that is not known narrows nothing."""

    search = True  # the filter bar then always has its button

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Model or provider"}),
    )
    provider = forms.ChoiceField(label="Provider", required=False)
    capability = forms.ChoiceField(
        label="Can do", required=False, choices=[("", "Anything"), *CAPABILITY_WORDS.items()]
    )
    tier = forms.ChoiceField(label="Tier", required=False, choices=[("", "Any tier"), *TIER_WORDS.items()])
    context = forms.ChoiceField(label="Context", required=False, choices=CONTEXTS)
    below = forms.CharField(
        label="Input up to, $ a million",
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "Any price"}),
    )
    status = forms.ChoiceField(label="Status", required=False, choices=STANDINGS)
    overridden = forms.ChoiceField(
        label="Overrides", required=False, choices=[("", "With or without"), ("yes", "With one"), ("no", "Without")]
    )
    sort = forms.ChoiceField(label="Order", required=False, choices=ORDERS)

    def __init__(self, *args: Any, overrides: bool, **kwargs: Any) -> None:
        """Without `overrides`, whoever asks may not see a tenant's own prices."""
        super().__init__(*args, **kwargs)
        listed = [(each.id, f"{each.name} ({models:,})") for each, models in providers()]
        cast(forms.ChoiceField, self.fields["provider"]).choices = [("", "All providers"), *listed]
        if not overrides:
            del self.fields["overridden"]
        self.is_valid()

    def clean_below(self) -> str:
        """An amount of USD as it was typed."""
        text: str = self.cleaned_data["below"]
        try:
            return text and str(decimal_from_micro(micro_from_text(text)))
        except MoneyError as error:
            raise forms.ValidationError(str(error)) from error

    @property
    def wanted(self) -> Wanted:
        """What the list is asked."""
        given = self.chosen
        below = Decimal(given["below"]) if "below" in given else None
        return Wanted(
            text=given.get("q", ""),
            provider=given.get("provider", ""),
            capability=given.get("capability", ""),
            tier=given.get("tier", ""),
            context_least=int(given.get("context", "0")),
            input_below=None if below is None else pico_per_unit(below, 10**6)[0],
            standing=Standing(given.get("status", "")),
            overridden={"yes": True, "no": False}.get(given.get("overridden", "")),
            order=Order(given.get("sort", "")),
        )

    @property
    def chosen(self) -> dict[str, str]:
        """The known values that were chosen, by field: what an address needs to show the same."""
        given = getattr(self, "cleaned_data", {})
        return {name: str(given[name]) for name in self.fields if given.get(name) not in (None, "")}

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out that is not left out by itself."""
        return bool(self.chosen.keys() - {"sort"})

    @property
    def summary(self) -> str:
        """What is shown, in words, for a phone's folded bar."""
        chosen = self.chosen
        words = [f"“{chosen['q']}”"] if "q" in chosen else []
        for name, value in chosen.items():
            if name == "below":
                words.append(f"input up to ${value}")
            elif name not in ("q", "sort"):
                words.append(str(dict(cast(Any, self.fields[name]).choices).get(value, value)))
        return ", ".join(words) or "Current models"
