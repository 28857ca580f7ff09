"""Which currency's rates to draw, and over how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django import forms

SPANS = {"90": "90 days", "365": "A year", "1100": "Three years"}
USUAL_SPAN = "365"


class RatesForm(forms.Form):
    """What the chart shows. What is not known is as usual."""

    search = True  # the filter bar then always has its button

    currency = forms.ChoiceField(label="Currency", required=False)
    span = forms.ChoiceField(label="Over", required=False, choices=list(SPANS.items()), initial=USUAL_SPAN)

    def __init__(self, given: Any, *, currencies: Sequence[tuple[str, str]], usual: str) -> None:
        data = {"currency": given.get("currency") or usual, "span": given.get("span") or USUAL_SPAN}
        super().__init__(data)
        cast(forms.ChoiceField, self.fields["currency"]).choices = list(currencies)
        self._usual = usual
        self.is_valid()

    @property
    def currency_chosen(self) -> str:
        return str(self.cleaned_data.get("currency") or self._usual)

    @property
    def days(self) -> int:
        return int(self.cleaned_data.get("span") or USUAL_SPAN)

    @property
    def summary(self) -> str:
        """What is shown, in words."""
        return f"{self.currency_chosen}, {SPANS[str(self.days)].lower()}"
