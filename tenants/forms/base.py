"""What the forms of several things share."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django import forms

from tenants.errors import RefusedError
from tenants.rules import NAME_LONGEST


class ActionForm(forms.Form):
    """A form whose action may still refuse what it holds."""

    fields_of: dict[str, str] = {}  # an action's argument -> the field that it comes from, where the names differ

    def refuse(self, error: RefusedError) -> None:
        """Show what the action refused, at the field at fault."""
        name = self.fields_of.get(error.field, error.field)
        self.add_error(name if name in self.fields else None, error.message)


def name_field(label: str, help_text: str = "", placeholder: str = "") -> forms.CharField:
    """The field of a name."""
    return forms.CharField(
        label=label,
        max_length=NAME_LONGEST,
        help_text=help_text,
        error_messages={"required": "Write a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": placeholder}),
    )


def in_days(days: int, zone: ZoneInfo) -> date:
    """A day from today on, in a zone."""
    return datetime.now(zone).date() + timedelta(days=days)


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The last second of a day in a zone, in UTC."""
    within_calendar = min(day, date.max.replace(year=date.max.year - 1))  # the last day has no UTC in every zone
    return datetime.combine(within_calendar, time(23, 59, 59), zone).astimezone(UTC)


def lines_of(text: str) -> list[str]:
    """What a field of many lines, or of names between commas, lists."""
    return [line.strip() for line in text.replace(",", "\n").splitlines() if line.strip()]
