"""The file of another public table, and which disagreements to show."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

FILE_BYTES_MOST = 5 * 10**6


class CrossCheckForm(forms.Form):
    """LiteLLM's table of model prices, as a file."""

    file = forms.FileField(
        label="LiteLLM's model_prices JSON",
        help_text="The file model_prices_and_context_window.json, up to 5 MB. It is compared and not kept.",
        error_messages={"required": "Choose the file.", "empty": "The file is empty."},
    )

    def clean_file(self) -> UploadedFile:
        found: UploadedFile = self.cleaned_data["file"]
        if (found.size or 0) > FILE_BYTES_MOST:
            raise forms.ValidationError("The file is larger than 5 MB: use manage.py crosscheck_prices.")
        return found


class DisagreementsForm(forms.Form):
    """What the list of disagreements is narrowed to."""

    search = True  # the filter bar then always has its button

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Model, provider or unit"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_valid()

    @property
    def chosen(self) -> dict[str, str]:
        """What was typed, by field."""
        return {name: str(value) for name, value in getattr(self, "cleaned_data", {}).items() if value}

    @property
    def summary(self) -> str:
        """What is shown, in words."""
        return f"“{self.chosen['q']}”" if self.chosen else "All disagreements"
