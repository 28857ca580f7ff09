"""The field of tags, for everything that has them."""

from __future__ import annotations

from typing import Any

from django import forms

from tenants.errors import RefusedError
from tenants.tags import tags_of_text

LONGEST = 10_000  # characters of all tags together


class TagsField(forms.CharField):
    """One tag a line, like `team=search`. Cleans to a dictionary."""

    def __init__(self, help_text: str = "One a line: team=search.") -> None:
        super().__init__(
            label="Tags",
            required=False,
            max_length=LONGEST,
            help_text=help_text,
            widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "placeholder": "team=search"}),
        )

    def clean(self, value: Any) -> Any:
        try:
            return tags_of_text(super().clean(value))
        except RefusedError as error:
            raise forms.ValidationError(error.message) from error
