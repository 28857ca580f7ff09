"""The filters of the audit trail. They come by GET, so that an address is a view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.db.models import Q
from django.utils import timezone

from access.models import User
from changes.queries import Narrowed
from changes.trail import find_targets, known_kinds, noun_label
from tenants.models import Tenant

EVERY_TENANT = "every"
INSTALLATION = "installation"
_PEOPLE_MOST = 200  # that a text may stand for


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


class TrailForm(forms.Form):
    """What a record of the past can be narrowed to, whatever it records: when, by whom, about what, of which tenant."""

    period = forms.ChoiceField(label="When", required=False, choices=[(each.value, _LABELS[each]) for each in When])
    first = _day("From")
    last = _day("To")
    who = _text("Who", "Name, e-mail or id")
    search = _text("About", "Name or id")
    tenant = forms.ChoiceField(label="Tenant", required=False)

    def __init__(self, data: Any, *, tenant: Tenant, tenants: Sequence[tuple[str, str]]) -> None:
        """`tenants` are the choices beyond the given tenant; without any the field is left out."""
        super().__init__(data)
        self._tenant = tenant
        if tenants:
            cast(forms.ChoiceField, self.fields["tenant"]).choices = tenants
        else:
            del self.fields["tenant"]

    @property
    def narrowed(self) -> bool:
        """Whether anything is chosen."""
        return any(self.value_of(name) for name in self.fields)

    def value_of(self, name: str) -> str:
        """What a field is set to; "" when it is not set, or to something that does not exist."""
        return str(self.cleaned_data.get(name) or "") if self.is_valid() or name in self.cleaned_data else ""

    @property
    def summary(self) -> str:
        """What is chosen, in words: what a phone shows while the filters are folded away."""
        chosen = [_LABELS[When(self.value_of("period"))]]
        for name, field in self.fields.items():
            value = self.value_of(name)
            if value and name != "period" and isinstance(field, forms.ChoiceField):
                chosen.append(_label(cast(Any, field.choices), value))
        return ", ".join([*chosen, *(value for name in ("who", "search") if (value := self.value_of(name)))])

    def people(self) -> set[str] | None:
        """The ids of the people that are asked for; None when nobody in particular is."""
        who = self.value_of("who").strip()
        return {who, *find_people(who)} if who else None

    def chosen(self) -> dict[str, str]:
        """The filters that are set."""
        return {name: value for name in self.fields if (value := self.value_of(name))}

    def times(self) -> tuple[datetime | None, datetime | None]:
        """From when, until when (excluded)."""
        when = When(self.value_of("period"))
        if when in _BACK:
            return timezone.now() - _BACK[when], None
        if when is not When.CUSTOM:
            return None, None
        first, last = self.cleaned_data.get("first"), self.cleaned_data.get("last")
        return self._midnight(first), self._midnight(last + timedelta(days=1) if last else None)

    def _midnight(self, day: date | None) -> datetime | None:
        return datetime.combine(day, time(), ZoneInfo(self._tenant.time_zone)) if day else None


class AuditForm(TrailForm):
    """What the trail is narrowed to. Only a platform admin may look beyond the tenant."""

    kind = forms.ChoiceField(label="What", required=False)

    field_order = ("period", "first", "last", "kind", "who", "search", "tenant")

    def __init__(self, data: Any, *, tenant: Tenant, tenants: list[Tenant] | None) -> None:
        beyond = [
            ("", tenant.name),
            (EVERY_TENANT, "Everything"),
            (INSTALLATION, "The installation"),
            *((each.id, each.name) for each in tenants or () if each.id != tenant.id),
        ]
        super().__init__(data, tenant=tenant, tenants=[] if tenants is None else beyond)
        cast(forms.ChoiceField, self.fields["kind"]).choices = _kinds()

    @property
    def beyond(self) -> bool:
        """Whether events of other tenants than the one in scope are asked for."""
        return bool(self.value_of("tenant"))

    def wanted(self) -> Narrowed:
        """What the trail is asked for. Names are looked up as far as the open scope allows."""
        since, until = self.times()
        about = self.value_of("search").strip()
        return Narrowed(
            tenants=self._tenants(),
            since=since,
            until=until,
            kind=self.value_of("kind"),
            actors=self.people(),
            targets=find_targets(about) if about else None,
        )

    def _tenants(self) -> list[str] | None:
        chosen = self.value_of("tenant") or self._tenant.id
        if chosen == EVERY_TENANT:
            return None
        return [""] if chosen == INSTALLATION else [chosen]


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


def find_people(text: str) -> set[str]:
    """The ids of people who are called like this, or whose address is like this."""
    return {user.pk for user in User.objects.filter(Q(name__icontains=text) | Q(email__icontains=text))[:_PEOPLE_MOST]}
