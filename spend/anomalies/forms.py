"""The filters of the list of anomalies. They come by GET, so that an address is a view."""

from __future__ import annotations

from typing import Any

from django import forms

from spend.forms import Choices
from spend.models import Anomaly

SHOWN = {
    "open": "Open",
    "settled": "Settled",
    Anomaly.Status.GONE.value: "Priced anew",
    "all": "All",
}


class AnomaliesForm(forms.Form):
    """Which anomalies are shown; the open ones unless something else is chosen."""

    status = forms.ChoiceField(choices=list(SHOWN.items()), required=False, label="Show")
    project = forms.ChoiceField(required=False)
    search = forms.CharField(required=False, max_length=200, label="Model")

    def __init__(self, data: Any, *, projects: Choices) -> None:
        super().__init__({"status": "open"} | {name: data[name] for name in data if data[name]})
        self.fields["project"].choices = [("", "All"), *projects]  # type: ignore[attr-defined]
        self.is_valid()

    def value_of(self, name: str) -> str:
        """What a choice is set to; "" when it is not set, or to something that does not exist."""
        return str(self.cleaned_data.get(name) or "")

    @property
    def wanted(self) -> str:
        """As `spend.anomalies.queries.anomalies` takes it."""
        chosen = self.value_of("status") or "open"
        return "" if chosen == "all" else chosen

    @property
    def narrowed(self) -> bool:
        return bool(self.value_of("project") or self.value_of("search"))

    @property
    def summary(self) -> str:
        return SHOWN[self.value_of("status") or "open"]
