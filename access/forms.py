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

    def complaint(self) -> str:
        """What is wrong with the name, in words for the person who typed it."""
        return " ".join(str(error) for error in self.errors["name"])
