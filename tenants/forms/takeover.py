"""The form of a list of keys to take over."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.conf import settings
from django.http import QueryDict

from tenants.forms.base import ActionForm
from tenants.models import Project, Tenant

TEXT_MOST = 2_000_000  # characters; some 10,000 lines


class TakeOverForm(ActionForm):
    """A list, pasted or as a file. A file's text moves into the field, so that it can be looked at and put right."""

    project: forms.ModelChoiceField[Project] = forms.ModelChoiceField(
        label="Project",
        queryset=None,
        required=False,
        empty_label="Each line names its own",
        help_text="For lines that name none.",
    )
    env = forms.ChoiceField(label="Environment", required=False, help_text="For lines that name none.")
    text = forms.CharField(
        label="List",
        max_length=TEXT_MOST,
        error_messages={"required": "Paste a list, or choose a file."},
        help_text="CSV with a line of column names, or JSON lines. Never paste the keys themselves.",
        widget=forms.Textarea(
            attrs={
                "rows": 10,
                "spellcheck": "false",
                "autocomplete": "off",
                "placeholder": "name,sha256,project,env\nBilling bot,9f86d081884c7d65…,Support,prod",
            }
        ),
    )
    file = forms.FileField(
        label="Or a file",
        required=False,
        help_text="In UTF-8. It is read instead of what is pasted.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.jsonl,.ndjson,.txt"}),
    )

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["text"].required = "file" not in self.files
        projects = Project.objects.filter(tenant=tenant).exclude(status=Project.Status.ARCHIVED).order_by("name")
        cast(forms.ModelChoiceField, self.fields["project"]).queryset = projects
        environments = [(name, name) for name in settings.SPENDOPS.environments]
        cast(forms.ChoiceField, self.fields["env"]).choices = [("", "Each line names its own"), *environments]

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
