"""What a person says about an invoice."""

from __future__ import annotations

from django import forms

from spend.importing.adapters import ADAPTERS
from spend.reconciling.actions import TOLERANCE
from spend.reconciling.invoices import KINDS, USAGE_KINDS

_FILES = forms.FileInput(attrs={"accept": ".csv,.json,.jsonl,.ndjson,.txt"})


class InvoiceForm(forms.Form):
    """An invoice, whose it is, and the usage report that belongs to it."""

    kind = forms.ChoiceField(label="What it is", choices=[(kind.name, kind.label) for kind in KINDS.values()])
    file = forms.FileField(label="File", help_text="20 MB at most.", widget=_FILES)
    provider = forms.CharField(
        label="Provider",
        required=False,
        max_length=64,
        help_text="Needed for a CSV of any provider: its name as on the pricing page, such as mistral.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    tolerance = forms.CharField(
        label="Tolerance (USD)",
        initial=TOLERANCE,
        max_length=20,
        help_text="What a day and model may differ by to be called rounding.",
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    usage_kind = forms.ChoiceField(
        label="Usage report",
        required=False,
        choices=[("", "None"), *((name, ADAPTERS[name].label) for name in USAGE_KINDS)],
        help_text="The provider's tokens of the same days say whether calls bypassed us or are priced otherwise.",
    )
    usage_file = forms.FileField(label="Usage file", required=False, widget=_FILES)

    def clean(self) -> dict[str, object]:
        cleaned = super().clean() or {}
        if cleaned.get("usage_kind") and not cleaned.get("usage_file"):
            self.add_error("usage_file", "Choose the file of the usage report, or “None” above.")
        return cleaned
