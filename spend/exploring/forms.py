"""The controls of the Explore page. An address is read by `spend.exploring.view`; these only show what it says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from zoneinfo import available_timezones

from django import forms

from spend.exploring.measures import MEASURES
from spend.exploring.view import PREVIOUS, View
from spend.forms import OfferingInput
from spend.periods import LABELS as PERIODS
from spend.periods import Choice
from spend.queries.dimensions import LABELS, TAG, label_of
from spend.queries.slices import Each

Choices = list[tuple[str, str]]


def dimensions_offered(tags: Sequence[str], *chosen: str) -> Choices:
    """What can be grouped and narrowed by: the dimensions, the tags that were used, and whatever is chosen already."""
    named = [*LABELS, *(f"{TAG}{name}" for name in tags)]
    return [(name, label_of(name)) for name in dict.fromkeys([*named, *(each for each in chosen if each)])]


@cache
def zones_offered() -> tuple[tuple[str, str], ...]:
    """Every time zone that is named by a place."""
    names = {name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/", "US/"))}
    return tuple((name, "") for name in ["UTC", *sorted(names)])


class ExploreForm(forms.Form):
    """What is looked at. `first` and `last` are shown for custom days only."""

    by = forms.ChoiceField(label="Group by", required=False)
    then = forms.ChoiceField(label="Then by", required=False)
    period = forms.ChoiceField(choices=[(each.value, PERIODS[each]) for each in Choice], label="Period")
    first = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    last = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    each = forms.ChoiceField(choices=[(Each.DAY.value, "Day"), (Each.HOUR.value, "Hour")], label="In steps of a")
    measure = forms.ChoiceField(choices=[(each.name, each.label) for each in MEASURES.values()], label="Measure")
    compare = forms.ChoiceField(
        choices=[("", "Nothing"), (PREVIOUS, "Days before")], required=False, label="Compare with"
    )
    zone = forms.CharField(
        required=False, max_length=64, label="Days in", widget=OfferingInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, view: View, *, tags: Sequence[str], own_zone: str) -> None:
        said = {name: value for name, value in view.pairs() if name in self.base_fields}
        usual = {"each": view.each.value, "measure": view.measure, "period": view.choice.value}
        super().__init__(usual | said, auto_id="explore-%s")
        offered = dimensions_offered(tags, view.by, view.then)
        self.fields["by"].choices = [("", "Nothing"), *offered]  # type: ignore[attr-defined]
        self.fields["then"].choices = [("", "Nothing"), *offered]  # type: ignore[attr-defined]
        zone = self.fields["zone"].widget
        zone.attrs["placeholder"] = own_zone
        zone.offered = zones_offered()


class NarrowForm(forms.Form):
    """One more filter."""

    add = forms.ChoiceField(label="What")
    how = forms.ChoiceField(choices=[("is", "is"), ("not", "is not")], label="How")
    value = forms.CharField(
        required=False,
        max_length=512,
        label="Value",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "Empty: none"}),
    )

    def __init__(self, data: object, *, tags: Sequence[str]) -> None:
        super().__init__(data, auto_id="narrow-%s")  # type: ignore[arg-type]
        asked = data.get("add", "") if hasattr(data, "get") else ""
        chosen = [asked] if str(asked).startswith(TAG) else []
        self.fields["add"].choices = dimensions_offered(tags, *chosen)  # type: ignore[attr-defined]
