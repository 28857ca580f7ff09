"""Prices that people give: one model's in a form, many models' in a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from pricing.models import HandPrice
from pricing.typed import MATCHES, clause_of, price_from_text
from tenants.forms.base import ActionForm
from wire.money import decimal_from_pico
from wire.prices import Clause
from wire.units import UNITS

TABLE_BYTES_MOST = 500_000  # of the form; larger tables come by command or by the API
COMMON = ("input", "output", "cache_read", "cache_write")  # with a field of their own
OTHERS = 3  # rows for other units
_PER = {
    "token": "a million tokens",
    "character": "a million characters",
    "pixel": "a million pixels",
}
_MATCH_WORDS = dict(
    zip(
        MATCHES,
        ("By its name, or by the rules that are there", "Exactly its name", "Names that begin with it"),
        strict=True,
    )
)


def _day(label: str, help_text: str, *, required: bool) -> forms.DateField:
    return forms.DateField(
        label=label,
        required=required,
        help_text=help_text,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Write a day like 2026-11-30.", "required": "Choose a day."},
    )


def _amount(label: str, unit: str = "") -> forms.CharField:
    attrs = {"inputmode": "decimal", "autocomplete": "off", "placeholder": "0.15" if unit else ""}
    return forms.CharField(label=label, required=False, max_length=40, widget=forms.TextInput(attrs=attrs))


def _unit_choices() -> list[tuple[str, str]]:
    others = [(name, f"{unit.label}, {_for(name)}") for name, unit in UNITS.items() if name not in COMMON]
    return [("", "Another unit …"), *others]


def _for(unit: str) -> str:
    measure = UNITS[unit].measure.value
    return f"for {_PER[measure]}" if measure in _PER else f"for one {measure}"


class PricesForm(ActionForm):
    """Prices by unit, as people quote them, from a day on, and where they are from."""

    fields_of = {"from": "starts", "until": "ends"}

    starts = _day("From", "The first day (UTC) on which they hold. A day in the past is right.", required=True)
    source_url = forms.CharField(
        label="Source address",
        required=False,
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
    )
    note = forms.CharField(
        label="Note", required=False, max_length=500, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for unit in COMMON:
            self.fields[f"price_{unit}"] = _amount(UNITS[unit].label.capitalize(), unit)
        for number in range(OTHERS):
            self.fields[f"unit_{number}"] = forms.ChoiceField(label="Unit", required=False, choices=_unit_choices())
            self.fields[f"amount_{number}"] = _amount("USD")

    @property
    def common(self) -> list[Any]:
        """The fields of the units that most models have."""
        return [self[f"price_{unit}"] for unit in COMMON]

    @property
    def others(self) -> list[tuple[Any, Any]]:
        """The rows of other units: which, and how much."""
        return [(self[f"unit_{number}"], self[f"amount_{number}"]) for number in range(OTHERS)]

    @property
    def others_open(self) -> bool:
        """Whether anything of the other units is filled in or refused."""
        return any(field.value() or field.errors for row in self.others for field in row)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        prices: dict[str, int] = {}
        for name, unit, text in self._typed(cleaned):
            try:
                if unit in prices:
                    raise ValueError(f"{UNITS[unit].label.capitalize()} are priced twice.")
                prices[unit] = price_from_text(unit, text)
            except ValueError as error:
                self.add_error(name, str(error))
        if not prices and not self.errors:
            self.add_error(f"price_{COMMON[0]}", "Give at least one price.")
        cleaned["prices"] = prices
        return cleaned

    def refuse(self, error: Any) -> None:
        if error.field == "prices":
            error.field = f"price_{COMMON[0]}"
        super().refuse(error)

    def _typed(self, cleaned: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
        for unit in COMMON:
            if cleaned.get(f"price_{unit}"):
                yield f"price_{unit}", unit, cleaned[f"price_{unit}"]
        for number in range(OTHERS):
            unit, text = cleaned.get(f"unit_{number}", ""), cleaned.get(f"amount_{number}", "")
            if unit and not text:
                self.add_error(f"amount_{number}", "Write what it costs.")
            elif text and not unit:
                self.add_error(f"unit_{number}", "Choose what this is the price of.")
            elif unit:
                yield f"amount_{number}", unit, text


class NewPriceForm(PricesForm):
    """Prices of a model that no source prices."""

    provider = forms.CharField(
        label="Provider",
        max_length=64,
        help_text="As calls name it: small letters, such as openai or our-own.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Write the provider."},
    )
    model = forms.CharField(
        label="Model",
        max_length=255,
        help_text="As calls name it.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Write the model's name."},
    )
    match = forms.ChoiceField(label="Found by", required=False, choices=list(_MATCH_WORDS.items()))
    ends = _day("Until before", "The first day without these prices. Empty: they stay.", required=False)
    field_order = ["provider", "model", "match", "starts", "ends"]

    @property
    def clause(self) -> Clause | None:
        """How the model is found."""
        given = self.cleaned_data
        return clause_of(given["match"], given["model"])


class ChangePriceForm(PricesForm):
    """Other prices for a model that a person priced."""

    def __init__(self, data: Any = None, *, price: HandPrice, today: date) -> None:
        starts = today if price.starts < today and (price.ends is None or today < price.ends) else price.starts
        initial: dict[str, Any] = {"starts": starts, "source_url": price.source_url, "note": price.note}
        others = 0
        for unit, pico in price.prices.items():
            if unit in COMMON:
                initial[f"price_{unit}"] = typed_price(unit, pico)
            elif others < OTHERS:
                initial |= {f"unit_{others}": unit, f"amount_{others}": typed_price(unit, pico)}
                others += 1
        super().__init__(data, initial=initial)
        self.fields[
            "starts"
        ].help_text = (
            f"The old prices end before this day. On {price.starts}, their first day, they are corrected instead."
        )


class EndPriceForm(ActionForm):
    """The day on which prices end."""

    ends = _day(
        "The first day without these prices",
        "In UTC. From then on the model is unpriced. On their first day they are withdrawn.",
        required=True,
    )


class TableForm(ActionForm):
    """A table of prices, typed or as a file."""

    text = forms.CharField(
        label="CSV or JSON",
        required=False,
        strip=False,
        max_length=TABLE_BYTES_MOST,
        widget=forms.Textarea(
            attrs={
                "rows": 8,
                "spellcheck": "false",
                "placeholder": "provider,model,unit,price,per,from\nour-own,tiny,input,0.15,million,2026-11-01",
            }
        ),
    )
    file = forms.FileField(label="Or a file", required=False)

    def clean_file(self) -> UploadedFile | None:
        found: UploadedFile | None = self.cleaned_data["file"]
        if found is not None and (found.size or 0) > TABLE_BYTES_MOST:
            raise forms.ValidationError(
                f"The file is larger than {TABLE_BYTES_MOST // 1000} kB: use manage.py import_prices, or the API."
            )
        return found

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        if cleaned.get("file"):
            cleaned["content"] = cleaned["file"].read()
        elif cleaned.get("text", "").strip():
            cleaned["content"] = cleaned["text"].encode()
        else:
            self.add_error("text", "Write prices here, or choose a file.")
        return cleaned


def typed_price(unit: str, pico: int) -> str:
    """A price as `PricesForm` takes it back: exact."""
    times = 10**6 if UNITS[unit].measure.value in _PER else 1
    return f"{decimal_from_pico(pico * times).normalize():f}"
