"""The filters of the audit trail. They come by GET, so that an address is a view."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone

from access.models import User
from changes.queries import Narrowed
from changes.trail import find_targets, known_kinds, noun_label
from tenants.models import Tenant

EVERY_TENANT = "every"
INSTALLATION = "installation"


class When(StrEnum):
    """How far back the trail is looked at."""

    ANY = ""
    DAY = "1d"
    WEEK = "7d"
    MONTH = "30d"
    CUSTOM = "custom"


_LABELS = {
    When.ANY: "Any time",
    When.DAY: "Last 24 hours",
    When.WEEK: "Last 7 days",
    When.MONTH: "Last 30 days",
    When.CUSTOM: "From … to …",
}
_BACK = {When.DAY: timedelta(days=1), When.WEEK: timedelta(days=7), When.MONTH: timedelta(days=30)}


def _day(label: str) -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(
        label=label, required=False, widget=widget, error_messages={"invalid": "Write a date like 2027-06-30."}
    )


def _text(label: str, placeholder: str) -> forms.CharField:
    attributes = {"placeholder": placeholder, "autocomplete": "off"}
    return forms.CharField(label=label, required=False, max_length=200, widget=forms.TextInput(attrs=attributes))


class AuditForm(forms.Form):
    """What the trail is narrowed to. Only a platform admin may look beyond the tenant."""

    period = forms.ChoiceField(label="When", required=False, choices=[(each.value, _LABELS[each]) for each in When])
    first = _day("From")
    last = _day("To")
    kind = forms.ChoiceField(label="What", required=False)
    who = _text("Who", "Name, e-mail or id")
    search = _text("About", "Name or id")
    tenant = forms.ChoiceField(label="Tenant", required=False)

    def __init__(self, data: Any, *, tenant: Tenant, tenants: list[Tenant] | None) -> None:
        super().__init__(data)
        self._tenant = tenant
        kind = cast(forms.ChoiceField, self.fields["kind"])
        kind.choices = _kinds()
        if tenants is None:
            del self.fields["tenant"]
            return
        chosen = cast(forms.ChoiceField, self.fields["tenant"])
        chosen.choices = [
            ("", tenant.name),
            (EVERY_TENANT, "Everything"),
            (INSTALLATION, "The installation"),
            *((each.id, each.name) for each in tenants if each.id != tenant.id),
        ]

    @property
    def narrowed(self) -> bool:
        """Whether anything is chosen."""
        return any(self.value_of(name) for name in self.fields)

    @property
    def beyond(self) -> bool:
        """Whether events of other tenants than the one in scope are asked for."""
        return bool(self.value_of("tenant"))

    def value_of(self, name: str) -> str:
        """What a field is set to; "" when it is not set, or to something that does not exist."""
        return str(self.cleaned_data.get(name) or "") if self.is_valid() or name in self.cleaned_data else ""

    @property
    def summary(self) -> str:
        """What is chosen, in words: what a phone shows while the filters are folded away."""
        chosen = [_LABELS[When(self.value_of("period"))]]
        for name in ("kind", "tenant"):
            value = self.value_of(name)
            if value:
                choices = cast(forms.ChoiceField, self.fields[name]).choices
                chosen.append(_label(cast(Any, choices), value))
        return ", ".join([*chosen, *(value for name in ("who", "search") if (value := self.value_of(name)))])

    def wanted(self) -> Narrowed:
        """What the trail is asked for. Names are looked up as far as the open scope allows."""
        since, until = self._times()
        who, about = self.value_of("who").strip(), self.value_of("search").strip()
        return Narrowed(
            tenants=self._tenants(),
            since=since,
            until=until,
            kind=self.value_of("kind"),
            actors=_people(who) if who else None,
            targets=find_targets(about) if about else None,
        )

    def chosen(self) -> dict[str, str]:
        """The filters that are set, for the record of an export."""
        return {name: value for name in self.fields if (value := self.value_of(name))}

    def _tenants(self) -> list[str] | None:
        chosen = self.value_of("tenant") or self._tenant.id
        if chosen == EVERY_TENANT:
            return None
        return [""] if chosen == INSTALLATION else [chosen]

    def _times(self) -> tuple[datetime | None, datetime | None]:
        when = When(self.value_of("period"))
        if when in _BACK:
            return timezone.now() - _BACK[when], None
        if when is not When.CUSTOM:
            return None, None
        first, last = self.cleaned_data.get("first"), self.cleaned_data.get("last")
        return self._midnight(first), self._midnight(last + timedelta(days=1) if last else None)

    def _midnight(self, day: date | None) -> datetime | None:
        return datetime.combine(day, time(), ZoneInfo(self._tenant.time_zone)) if day else None


def _kinds() -> list[Any]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for kind in known_kinds():
        noun, _, verb = kind.partition(".")
        groups.setdefault(noun, []).append((kind, f"{noun_label(noun)} {verb.replace('_', ' ')}"))
    choices: list[Any] = [("", "Anything")]
    for noun, kinds in groups.items():
        choices.append((noun_label(noun), [(f"{noun}.", f"{noun_label(noun)}: all"), *kinds]))
    return choices


def _label(choices: list[Any], value: str) -> str:
    for key, label in choices:
        if isinstance(label, list | tuple):
            for inner, text in label:
                if inner == value:
                    return str(text)
        elif key == value:
            return str(label)
    return value


def _people(text: str) -> set[str]:
    """The ids of people who are called like this, and the text itself, which may be an id."""
    return {text, *(user.pk for user in User.objects.filter(name__icontains=text)[:200]), *_by_email(text)}


def _by_email(text: str) -> set[str]:
    return set(User.objects.filter(email__icontains=text).values_list("pk", flat=True)[:200])
