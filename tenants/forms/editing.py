"""Forms of things that several people may edit at once: nobody undoes what somebody else changed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.core import signing
from django.forms.boundfield import BoundField
from django.http import QueryDict

from tenants.actions.versions import A_PROGRAM
from tenants.errors import StaleError
from tenants.forms.base import ActionForm

_SALT = "an opened form"
_APART = ("version", "opened")  # they are not what people edit


class EditForm(ActionForm):
    """A form of a thing that is there. It knows the version that the person saw, and what the fields said then."""

    version = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)
    opened = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "version" in self.initial:
            self.initial = {**self.initial, "opened": _sealed(self.initial)}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        cleaned.pop("opened", None)
        return cleaned

    def meaning(self, name: str, value: Any) -> Any:
        """What a field's value comes to, so that two ways to write the same are the same."""
        try:
            return self.fields[name].clean(value)
        except forms.ValidationError:
            return str("" if value is None else value).split()

    def reopen(self, now: Mapping[str, Any], error: StaleError) -> None:
        """Somebody else changed the thing meanwhile: bring both edits together, to be looked at and sent again.

        `now` is what the form of it begins with. A field that only the other one changed takes that value, with a note;
        what only this person changed stays; where both did, it stays, too, and the field says what stands there now.
        """
        self.refuse(error)
        before = _unsealed(self["opened"].value())
        data = cast(QueryDict, self.data).copy()
        overtaken: dict[str, Any] = {}
        for name, value in now.items():
            if name not in self.fields or name in _APART:
                continue
            theirs, mine = self.meaning(name, value), self.meaning(name, self[name].value())
            seen = self.meaning(name, before[name]) if name in before else None
            if mine == theirs or (name in before and theirs == seen):
                continue
            if name in before and mine == seen:
                data.setlist(self.add_prefix(name), _listed(value))
                self.fields[name].note = self._note(name, before[name], error)  # type: ignore[attr-defined]
            else:
                overtaken[name] = value
        data[self.add_prefix("version")] = str(now["version"])
        data[self.add_prefix("opened")] = _sealed(now)
        self.data = data
        for name, value in overtaken.items():
            self.add_error(name, f"It says now: {_shown(self[name], value)}.")

    def _note(self, name: str, before: Any, error: StaleError) -> str:
        who = {self.fields_of.get(each, each): who for each, who in error.changed_by.items()}.get(name)
        begun = "A program" if who == A_PROGRAM else who or "Somebody else"
        return f"{begun} changed this meanwhile. It said: {_shown(self[name], before)}."


def _sealed(values: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in values.items() if name not in _APART}
    return signing.dumps(kept, salt=_SALT, compress=True)


def _unsealed(text: Any) -> dict[str, Any]:
    """What the fields said; nothing of a form that does not tell."""
    try:
        return dict(signing.loads(str(text or ""), salt=_SALT))
    except (signing.BadSignature, ValueError):
        return {}


def _listed(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else ["" if value is None else str(value)]


def _shown(field: BoundField, value: Any) -> str:
    """A value as the field's choices call it, or with commas instead of lines."""
    choices = dict(cast(Any, field.field).choices) if isinstance(field.field, forms.ChoiceField) else {}
    names = {str(each): str(label) for each, label in choices.items()}
    words = [names.get(each) or ", ".join(each.splitlines()) for each in _listed(value)]
    return ", ".join(words) or "nothing"
