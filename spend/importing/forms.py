"""What a person says about a file."""

from __future__ import annotations

from collections.abc import Sequence

from django import forms

from spend.importing.adapters import ADAPTERS
from tenants.errors import InvalidSettingError

PAGE_MOST = 20 * 2**20


def read_mapping(text: str) -> dict[str, tuple[str, str]]:
    """Lines like `key_abc = Checkout` or `key_abc = Checkout, default`. Raises InvalidSettingError."""
    found: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        theirs, sign, ours = line.rpartition("=")
        project, _, credential = ours.partition(",")
        if not sign or not theirs.strip() or not project.strip():
            raise InvalidSettingError(
                f"Line {number} of the mapping is not like “key_abc = Checkout” or “key_abc = Checkout, default”.",
                field="mapping",
            )
        found[theirs.strip()] = (project.strip(), credential.strip())
    return found


class ImportForm(forms.Form):
    """A file of usage, and where it counts."""

    kind = forms.ChoiceField(label="What it is", choices=[(each.name, each.label) for each in ADAPTERS.values()])
    file = forms.FileField(
        label="File",
        help_text="CSV, JSON or JSON lines, 20 MB at most; larger ones come in with manage.py import_usage.",
        widget=forms.FileInput(attrs={"accept": ".csv,.json,.jsonl,.ndjson,.txt"}),
    )
    project = forms.ChoiceField(
        label="Project", help_text="Where usage counts that the file or the mapping does not name a project for."
    )
    env = forms.ChoiceField(label="Environment")
    mapping = forms.CharField(
        label="Mapping",
        required=False,
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "placeholder": "key_abc = Checkout, default"}),
        help_text=(
            "A line for each of the provider's keys, projects or workspaces: its id, our project, and the gateway's "
            "credential if that key is one that the gateway uses."
        ),
    )

    def __init__(
        self, *args: object, projects: Sequence[tuple[str, str]], envs: Sequence[str], **options: object
    ) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.fields["project"].choices = projects  # type: ignore[attr-defined]
        self.fields["env"].choices = [(env, env) for env in envs]  # type: ignore[attr-defined]
        if "prod" in envs:
            self.fields["env"].initial = "prod"

    def clean_file(self) -> object:
        file = self.cleaned_data["file"]
        if file.size > PAGE_MOST:
            raise forms.ValidationError("The file is larger than 20 MB: import it with manage.py import_usage.")
        return file

    def clean_mapping(self) -> dict[str, tuple[str, str]]:
        try:
            return read_mapping(self.cleaned_data["mapping"])
        except InvalidSettingError as error:
            raise forms.ValidationError(error.message) from error
