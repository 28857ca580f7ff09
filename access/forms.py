"""What a person types about a passkey."""

from __future__ import annotations

from django import forms


class PasskeyNameForm(forms.Form):
    """A passkey's name, so that one is told from another."""

    name = forms.CharField(
        max_length=64,
        strip=True,
        error_messages={
            "required": "Give the passkey a name, such as Work laptop.",
            "max_length": "A passkey's name has at most 64 characters.",
        },
    )
