"""What a person says a model is."""

from __future__ import annotations

from typing import Any

from django import forms

from pricing.facts import CAPABILITIES, FACTS, TIERS
from pricing.models import Model
from tenants.errors import Fault
from tenants.forms.base import ActionForm

TIER_CHOICES = [("", "Nobody said"), *((tier, tier.capitalize()) for tier in TIERS)]


class FactsForm(ActionForm):
    """A model's facts. What is emptied is given back to the sources; what is left as it is stays whose it was."""

    tier = forms.ChoiceField(
        label="Tier",
        required=False,
        choices=TIER_CHOICES,
        help_text="What keys with a tier, and tenants' selections, may choose it for.",
    )
    context_window = forms.CharField(label="Context window, tokens", required=False, max_length=20)
    output_most = forms.CharField(label="Longest answer, tokens", required=False, max_length=20)
    deprecated_on = forms.CharField(
        label="Works until", required=False, max_length=10, widget=forms.DateInput(attrs={"type": "date"})
    )
    capabilities = forms.CharField(
        label="Can do",
        required=False,
        max_length=500,
        help_text=f"Names with commas between them, of {', '.join(CAPABILITIES)}.",
    )
    aliases = forms.CharField(
        label="Other names",
        required=False,
        max_length=4000,
        help_text="Names with commas between them. They are for people: rules decide which names find it.",
    )
    note = forms.CharField(
        label="Where you know it from",
        required=False,
        max_length=300,
        help_text="Such as the address of a page. It stands beside what you change.",
    )

    def __init__(self, data: Any = None, *, model: Model) -> None:
        self._held = {name: _as_text(getattr(model, name)) for name in FACTS}
        super().__init__(data, initial=self._held)

    @property
    def changed_facts(self) -> dict[str, str]:
        """The facts that were typed differently."""
        given = self.cleaned_data
        return {name: given[name] for name, held in self._held.items() if given[name].strip() != held}

    def say(self, faults: tuple[Fault, ...]) -> None:
        """Show what the action could not take, at its field."""
        for fault in faults:
            self.add_error(fault.field if fault.field in self.fields else None, fault.message)


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)
