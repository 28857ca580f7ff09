"""The form of a scheduled report."""

from __future__ import annotations

from calendar import day_name
from collections.abc import Iterable
from typing import Any

from django import forms

from access.models import User
from spend.models import Report
from spend.queries.dimensions import LABELS, TAG, label_of
from spend.reports.actions import Wanted
from spend.reports.queries import Person
from spend.reports.rules import WAIT_MOST
from tenants.forms.base import ActionForm, name_field

_NAMES = ("name", "group_by", "cadence", "weekday", "month_day", "hour", "file", "wait_hours", "people")


class ReportForm(ActionForm):
    """What a report says, when it goes out and to whom."""

    name = name_field("Name", "The mail's subject begins with it.", "Weekly spend")
    cadence = forms.ChoiceField(choices=Report.Cadence.choices, label="How often")
    weekday = forms.TypedChoiceField(choices=list(enumerate(day_name)), coerce=int, label="On")
    month_day = forms.TypedChoiceField(
        choices=[(each, str(each)) for each in range(1, 32)],
        coerce=int,
        label="On day",
        help_text="In a month that has no such day, on its last.",
    )
    hour = forms.TypedChoiceField(choices=[(each, f"{each:02d}:00") for each in range(24)], coerce=int, label="At")
    group_by = forms.ChoiceField(label="Group by")
    file = forms.ChoiceField(choices=Report.File.choices, required=False, label="Attached file")
    wait_hours = forms.IntegerField(
        label="Wait for whole data, hours",
        min_value=0,
        max_value=WAIT_MOST,
        help_text="While calls of the period are not counted or not priced. Then it goes out marked as partial.",
    )
    people = forms.MultipleChoiceField(
        label="Recipients",
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Members whose role sees all of the tenant's spend. Each may unsubscribe by a link in the mail.",
    )

    def __init__(
        self,
        data: Any,
        *,
        zone: str,
        members: Iterable[User],
        listed: Iterable[Person] = (),
        tags: Iterable[str] = (),
        **rest: Any,
    ) -> None:
        super().__init__(data, **rest)
        chosen = str(self.initial.get("group_by") or "")
        groups = [*LABELS, *(f"{TAG}{tag}" for tag in tags), *([chosen] if chosen else [])]
        self.fields["group_by"].choices = [(name, label_of(name)) for name in dict.fromkeys(groups)]  # type: ignore[attr-defined]
        self.fields["hour"].help_text = f"In {zone}, the tenant's time zone."
        people = {each.id: each for each in listed}
        offered = [(user.pk, f"{user.name} ({user.email})" if user.name else user.email) for user in members]
        offered = [(id, label + _note(people.get(id))) for id, label in offered]
        known = {id for id, _ in offered}
        offered += [(each.id, f"{each.name}{_note(each)}") for each in people.values() if each.id not in known]
        self.fields["people"].choices = offered  # type: ignore[attr-defined]

    @property
    def wanted(self) -> Wanted:
        """What was asked for."""
        return Wanted(**{name: self.cleaned_data[name] for name in _NAMES})


def _note(person: Person | None) -> str:
    if person is None:
        return ""
    if not person.subscribed:
        return " – has unsubscribed"
    return "" if person.may_see else " – gets nothing: no longer a member who sees all spend"


def initial_of(wanted: Wanted) -> dict[str, Any]:
    """The form's values for a report."""
    return {name: getattr(wanted, name) for name in _NAMES}
