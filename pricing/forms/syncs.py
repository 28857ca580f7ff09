"""Which changes of a sync to show, and what a person decides about them."""

from __future__ import annotations

from typing import Any

from django import forms

from pricing.models import PriceChange

KINDS = (
    ("", "Everything"),
    (PriceChange.Kind.CHANGED, "Changed prices"),
    (PriceChange.Kind.NEW, "New models"),
    (PriceChange.Kind.GONE, "Gone models"),
    (PriceChange.Kind.CONFLICT, "Priced by hand"),
    (PriceChange.Kind.RULES, "Rules"),
)
STATUSES = (
    ("", "Any"),
    (PriceChange.Status.WAITING, "Waiting"),
    (PriceChange.Status.PUBLISHED, "Published"),
    (PriceChange.Status.REJECTED, "Rejected"),
)


class ChangesForm(forms.Form):
    """What the changes of a sync are narrowed to. A value that is not known narrows nothing."""

    search = True  # the filter bar then always has its button

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Model or provider"}),
    )
    kind = forms.ChoiceField(label="What", required=False, choices=KINDS)
    status = forms.ChoiceField(label="Status", required=False, choices=STATUSES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_valid()

    @property
    def chosen(self) -> dict[str, str]:
        """The known values that were chosen, by field."""
        given = getattr(self, "cleaned_data", {})
        return {name: str(given[name]) for name in self.fields if given.get(name)}

    @property
    def summary(self) -> str:
        """What is shown, in words, for a phone's folded bar."""
        chosen = self.chosen
        words = [f"“{chosen['q']}”"] if "q" in chosen else []
        words += [str(dict(KINDS)[chosen["kind"]])] if "kind" in chosen else []
        words += [str(dict(STATUSES)[chosen["status"]]).lower()] if "status" in chosen else []
        return ", ".join(words) or "All changes"


class DecisionForm(forms.Form):
    """What a person decides about exactly the changes of a digest."""

    digest = forms.CharField(max_length=64, widget=forms.HiddenInput)
    reason = forms.CharField(
        label="Why",
        required=False,
        max_length=500,
        help_text="It stands in the audit trail.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
