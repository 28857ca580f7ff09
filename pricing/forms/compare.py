"""Which models to compare, and at what use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict

from pricing.compare import MODELS_MOST, REQUESTS_MOST, TOKENS_MOST, USUAL, Mix


def _number(label: str, most: int, help_text: str = "") -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        min_value=0,
        max_value=most,
        help_text=help_text,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        error_messages={
            "required": "Write a whole number.",
            "invalid": "Write a whole number such as 1500.",
            "min_value": "Write 0 or more.",
            "max_value": f"Write at most {most:,}.",
        },
    )


class MixForm(forms.Form):
    """The use of an average call. What the address does not say is as usual."""

    input = _number("Input tokens", TOKENS_MOST, "Of one call, cached ones included.")
    cached = _number("Of them cached", TOKENS_MOST, "Read from the provider's cache.")
    output = _number("Output tokens", TOKENS_MOST, "Of one call.")
    requests = _number("Calls a month", REQUESTS_MOST)

    def __init__(self, given: QueryDict) -> None:
        usual = {"input": USUAL.input, "cached": USUAL.cached, "output": USUAL.output, "requests": USUAL.requests}
        said = {name: str(given[name]).replace(",", "").replace(" ", "") for name in usual if given.get(name)}
        data: dict[str, Any] = {name: str(value) for name, value in usual.items()} | said
        if "input" in said and "cached" not in said:
            data["cached"] = "0"
        super().__init__(data)
        self.is_valid()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "input" in cleaned and "cached" in cleaned and cleaned["cached"] > cleaned["input"]:
            self.add_error("cached", "Not more than there are input tokens.")
        return cleaned

    @property
    def mix(self) -> Mix:
        """What was asked for, or the usual where that makes no sense."""
        return Mix(**self.cleaned_data) if not self.errors else USUAL


def chosen_models(given: QueryDict) -> tuple[list[tuple[str, str]], int]:
    """The models that an address names as `provider/model`, each once; and how many more there were than may be."""
    names: dict[tuple[str, str], None] = {}
    for text in given.getlist("model"):
        provider, slash, model = text.strip().partition("/")
        if slash and provider and model and len(text) <= 400:
            names[provider, model] = None
    chosen = list(names)
    return chosen[:MODELS_MOST], max(0, len(chosen) - MODELS_MOST)


def address_of(models: Sequence[tuple[str, str]], mix: Mix) -> str:
    """The query of the comparison of these models at a mix, with its "?"."""
    named = [("model", f"{provider}/{model}") for provider, model in models]
    used = [("input", mix.input), ("cached", mix.cached), ("output", mix.output), ("requests", mix.requests)]
    return f"?{urlencode([*named, *used])}"
