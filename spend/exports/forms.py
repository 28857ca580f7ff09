"""The form of a new export."""

from __future__ import annotations

from typing import Any

from django import forms

from spend.exports.wanted import EACH, FOCUS, Format, Kind, Wanted, wanted_from
from spend.models import Export
from spend.queries.dimensions import LABELS, label_of

_GROUPS = ("by", "then", "also")


def _day(label: str) -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, widget=widget, error_messages={"invalid": "Write a date like 2026-11-01."})


class ExportForm(forms.Form):
    """What goes into a file, and how. What it is narrowed by stays as the page had it."""

    kind = forms.ChoiceField(label="What")
    format = forms.ChoiceField(
        label="Format",
        choices=Format.choices,
        help_text="CSV and Parquet hold amounts exactly. In Excel each has its exact text beside the number.",
    )
    first = _day("First day")
    last = _day("Last day")
    each = forms.ChoiceField(label="Sums for", choices=[(each.value, label) for each, label in EACH.items()])
    by = forms.ChoiceField(label="Grouped by", required=False)
    then = forms.ChoiceField(label="and by", required=False)
    also = forms.ChoiceField(label="and by", required=False)
    partial = forms.BooleanField(
        label="Export it as partial", required=False, help_text="The file and its manifest then say that it is."
    )

    def __init__(self, data: Any, *, of: Wanted) -> None:
        self._of = of
        by = dict(zip(_GROUPS, of.by, strict=False))
        initial = {
            "kind": of.kind.value,
            "format": Format.CSV.value,
            "first": of.slice.first,
            "last": of.slice.last,
            "each": of.each.value,
            **by,
        }
        super().__init__(data, initial=initial)
        kinds = kinds_of(of)
        self.fields["kind"].choices = [(kind.value, kind.label) for kind in kinds]  # type: ignore[attr-defined]
        self.summable = Kind.SPEND in kinds
        offered = [(name, label_of(name)) for name in dict.fromkeys([*LABELS, *of.by])]
        for name in _GROUPS:
            self.fields[name].choices = [("", "Nothing"), *offered]  # type: ignore[attr-defined]
        if not self.summable:
            for name in ("each", *_GROUPS):
                del self.fields[name]

    def wanted(self) -> Wanted:
        """What was chosen. Raises InvalidSettingError."""
        given, kind = self.cleaned_data, Kind(self.cleaned_data["kind"])
        pairs = [("first", given["first"].isoformat()), ("last", given["last"].isoformat())]
        pairs += [("zone", self._of.slice.zone), *self._of.narrowing]
        if kind is Kind.SPEND:
            pairs += [("each", given["each"]), *(("by", given[name]) for name in _GROUPS if given[name])]
        return wanted_from(kind, pairs)


def kinds_of(of: Wanted) -> tuple[Export.Kind, ...]:
    """The kinds of export that what is narrowed like this can be."""
    if of.kind is Kind.DENIALS or of.exactly:
        return (of.kind,)
    return (Kind.SPEND, Kind.USAGE, *FOCUS)
