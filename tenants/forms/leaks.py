"""Forms of the leak check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core import signing

from tenants.forms.base import ActionForm
from tenants.leaks import TEXT_MOST
from tenants.models import Tenant

OUTDATED = "What was found is too long ago, or belongs to another tenant: check the text again. Nothing was changed."
_SALT = "leak check"
_WORKS_FOR = 15 * 60  # seconds


class LeakForm(ActionForm):
    """The text in which keys may stand. It is never shown again."""

    text = forms.CharField(
        label="Text",
        max_length=TEXT_MOST,
        strip=False,
        help_text="A log, a commit, a chat, a file: at most 1 MiB. It is looked at in memory, and kept nowhere.",
        error_messages={
            "required": "Paste the text in which keys may stand.",
            "max_length": "The text is larger than 1 MiB: paste a part of it at a time.",
        },
        widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "autocomplete": "off"}),
    )


class RevokeLeakedForm(ActionForm):
    """The keys that were found, sealed, and their number, typed to show that all of them are meant."""

    found = forms.CharField(widget=forms.HiddenInput)
    number = forms.IntegerField(
        label="Type how many keys to revoke",
        error_messages={"required": "Type the number of keys.", "invalid": "Type the number of keys."},
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tenant = tenant

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        try:
            keys = opened(given.get("found", ""), tenant=self._tenant)
        except signing.BadSignature as error:
            raise forms.ValidationError(OUTDATED) from error
        given["keys"] = keys
        if "number" in given and given["number"] != len(keys):
            self.add_error("number", f"{len(keys)} keys were found: type {len(keys)}.")
        return given


def sealed(key_ids: Sequence[str], *, tenant: Tenant) -> str:
    """Keys that were found, for the form that revokes them."""
    return signing.dumps([tenant.id, *key_ids], salt=_SALT, compress=True)


def opened(text: str, *, tenant: Tenant) -> list[str]:
    """The keys that `sealed` was given for this tenant. Raises BadSignature."""
    owner, *keys = signing.loads(text, salt=_SALT, max_age=_WORKS_FOR)
    if owner != tenant.id:
        raise signing.BadSignature
    return keys
