"""Forms that take a list of things, a line each."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.http import QueryDict

from tenants.forms.base import ActionForm

TEXT_MOST = 2_000_000  # characters; some 10,000 lines


class ListForm(ActionForm):
    """A list, pasted or as a file. A file's text moves into the field, so that it can be looked at and put right."""

    formats = ""  # which forms of a list are taken, as people read it
    example = ""
    accepted = ".csv,.jsonl,.ndjson,.txt"

    text = forms.CharField(
        label="List",
        max_length=TEXT_MOST,
        strip=False,
        error_messages={"required": "Paste a list, or choose a file."},
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false", "autocomplete": "off"}),
    )
    file = forms.FileField(
        label="Or a file", required=False, help_text="In UTF-8. It is read instead of what is pasted."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        text, file = self.fields["text"], self.fields["file"]
        text.required = "file" not in self.files
        text.help_text = self.formats
        text.widget.attrs["placeholder"] = self.example
        file.widget.attrs["accept"] = self.accepted

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        file = found.get("file")
        if file is None:
            return found
        if file.size > TEXT_MOST:
            raise forms.ValidationError("The file is too large: split it into files of at most 10,000 lines.")
        try:
            found["text"] = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise forms.ValidationError("The file is no text in UTF-8.") from error
        data = cast(QueryDict, self.data).copy()
        data[self.add_prefix("text")] = found["text"]
        self.data = data
        return found
