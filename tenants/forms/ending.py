"""What forms need that change, stop or end a thing with a name."""

from __future__ import annotations

from typing import Any

from django import forms

from tenants.forms.base import ActionForm
from tenants.rules import REASON_LONGEST


def reason_field() -> forms.CharField:
    """Why something is stopped."""
    return forms.CharField(
        label="Why",
        max_length=REASON_LONGEST,
        help_text="It stands on the page and in the audit trail. Callers do not read it.",
        error_messages={"required": "Write why: whoever asks later finds it here."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class ReasonForm(ActionForm):
    """Why something is stopped."""

    reason = reason_field()


class NamedReasonForm(ReasonForm):
    """The thing's own name, typed to show that this very one is meant, and why."""

    field_order = ("name", "reason")

    name = forms.CharField(
        label="Type its name",
        error_messages={"required": "Type the name, to show that this very one is meant."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, named: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._named = named
        self.fields["name"].label = f"Type “{named}”"

    def clean_name(self) -> str:
        typed = str(self.cleaned_data["name"])
        if typed.strip() != self._named:
            raise forms.ValidationError(f"That is not its name. Type “{self._named}”.")
        return typed
