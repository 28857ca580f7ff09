"""Forms of one API key: issue it, change what it may do, rotate it, revoke it. For lists see `key_lists`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings

from tenants.forms.base import ActionForm, end_of, lines_of, name_field
from tenants.forms.editing import EditForm
from tenants.forms.tags import TagsField
from tenants.models import ApiKey, Project, Tenant
from tenants.policy import LIMITS_MOST, KeySettings, settings_of
from tenants.queries import users_in
from tenants.tags import text_of_tags

_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+", re.ASCII)

LISTS = ("allowed_models", "denied_models", "allowed_providers", "denied_providers", "networks")
TIER_WORDS = (
    ("", "As the caller asks"),
    ("bulk", "Bulk: the cheapest"),
    ("standard", "Standard"),
    ("frontier", "Frontier: the most capable"),
)


class LinesField(forms.CharField):
    """Names, one a line or between commas. Cleans to a list."""

    def __init__(self, label: str, help_text: str, *, rows: int = 2, placeholder: str = "") -> None:
        super().__init__(
            label=label,
            required=False,
            max_length=40_000,
            help_text=help_text,
            widget=forms.Textarea(attrs={"rows": rows, "spellcheck": "false", "placeholder": placeholder}),
        )

    def clean(self, value: Any) -> Any:
        return lines_of(super().clean(value))


class WholeNumberField(forms.IntegerField):
    """A whole number, also one with commas between its thousands."""

    def to_python(self, value: Any) -> int | None:
        if isinstance(value, str) and _THOUSANDS.fullmatch(value.strip()):
            value = value.replace(",", "")
        return super().to_python(value)


def _limit_field(label: str, name: str) -> forms.IntegerField:
    return WholeNumberField(
        label=label,
        required=False,
        min_value=0,
        max_value=LIMITS_MOST[name],
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off", "placeholder": "No limit"}),
        error_messages={
            "invalid": "Write a whole number, or nothing for no limit.",
            "min_value": "Write a whole number, or nothing for no limit.",
            "max_value": f"Write at most {LIMITS_MOST[name]:,}, or nothing for no limit.",
        },
    )


def _day_field(label: str, help_text: str) -> forms.DateField:
    return forms.DateField(
        label=label,
        required=False,
        help_text=help_text,
        error_messages={"invalid": "Write a date like 2027-06-30."},
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


class KeyForm(ActionForm):
    """Everything that people choose about a key. `key` is the one that is changed, None for a new one."""

    fields_of = {"expires_at": "expires_on", "not_before": "works_from"}
    ADVANCED = (
        "denied_models",
        "allowed_providers",
        "denied_providers",
        "tier",
        "rpm",
        "tpm",
        "concurrency",
        "networks",
        "works_from",
    )

    name = name_field("Name", "Who or what will use it. It stands in reports and alerts.", "Billing bot")
    project = forms.ChoiceField(
        label="Project",
        error_messages={
            "required": "Choose the project that this key's spend counts for.",
            "invalid_choice": "This project is not there any more: choose another one.",
        },
    )
    owner = forms.ChoiceField(
        label="Owner",
        required=False,
        help_text="A developer sees this key and its usage when it is theirs. Empty: it is the whole tenant's.",
        error_messages={"invalid_choice": "This person is no member any more: choose another one."},
    )
    expires_on = _day_field(
        "Works until", "The end of this day in the tenant's time zone. Empty: the key does not expire."
    )
    tags = TagsField("One a line: team=search. They are put on each of the key's calls.")
    allowed_models = LinesField(
        "Allowed models", "One a line, with * for any part: gpt-4o*. Empty: every model.", rows=3, placeholder="gpt-4o*"
    )
    denied_models = LinesField("Denied models", "A denied model stays denied when it is allowed above, too.")
    allowed_providers = LinesField(
        "Allowed providers", "One a line, with *. Empty: every provider.", placeholder="openai"
    )
    denied_providers = LinesField("Denied providers", "One a line, with *.")
    tier = forms.ChoiceField(
        label="Tier",
        required=False,
        choices=TIER_WORDS,
        help_text="Which models a call gets that leaves the choice to the gateway.",
    )
    rpm = _limit_field("Requests a minute", "rpm")
    tpm = _limit_field("Tokens a minute", "tpm")
    concurrency = _limit_field("Calls at the same time", "concurrency")
    networks = LinesField(
        "Networks that calls may come from",
        "One a line: an address, or a block like 192.0.2.0/24 or 2001:db8::/48. Empty: from anywhere.",
        placeholder="192.0.2.0/24",
    )
    works_from = _day_field("Works from", "The beginning of this day in the tenant's time zone. Empty: at once.")

    def __init__(self, *args: Any, tenant: Tenant, key: ApiKey | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = ZoneInfo(tenant.time_zone)
        self._key = key
        kept = key.project_id if key else None  # an archived project takes no new keys, and keeps those that it has
        projects = Project.objects.filter(tenant=tenant).order_by("name")
        self.projects = {
            each.pk: each for each in projects if each.status != Project.Status.ARCHIVED or each.pk == kept
        }
        project = cast(forms.ChoiceField, self.fields["project"])
        project.choices = [("", "Choose a project"), *((pk, each.name) for pk, each in self.projects.items())]
        if len(self.projects) == 1:
            project.initial = next(iter(self.projects))
        owner = cast(forms.ChoiceField, self.fields["owner"])
        members = {each.pk: str(each) for each in users_in(tenant)}
        if key and key.owner_id:
            members.setdefault(key.owner_id, f"{key.owner_id}, who is no member any more")
        owner.choices = [("", "Nobody in particular"), *members.items()]

    @property
    def advanced_open(self) -> bool:
        """Whether something of the folded part is set or refused, so that it must be seen."""
        return any(self[name].errors or self[name].value() for name in self.ADVANCED)

    def settings(self) -> KeySettings:
        """What the actions are told. A day that was left as it is keeps its exact moment."""
        given = self.cleaned_data
        standing = self._key
        return KeySettings(
            name=given["name"],
            project=given["project"],
            owner=given["owner"],
            not_before=self._moment(given["works_from"], standing.not_before if standing else None, _begin_of),
            expires_at=self._moment(given["expires_on"], standing.expires_at if standing else None, end_of),
            tier=given["tier"],
            tags=given["tags"],
            rpm=given["rpm"] or 0,
            tpm=given["tpm"] or 0,
            concurrency=given["concurrency"] or 0,
            **{name: given[name] for name in LISTS},
        )

    def _moment(
        self, day: date | None, standing: datetime | None, at: Callable[[date, ZoneInfo], datetime]
    ) -> datetime | None:
        if day is None:
            return None
        return standing if standing and day == standing.astimezone(self.zone).date() else at(day, self.zone)


class IssueKeyForm(KeyForm):
    """A new API key. Whatever has a sensible default is filled in."""

    env = forms.ChoiceField(label="Environment", help_text="Each has its own gateway and its own keys.")
    token = forms.CharField(
        required=False, max_length=64, initial=partial(secrets.token_urlsafe, 16), widget=forms.HiddenInput
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = settings.SPENDOPS.environments
        environment = cast(forms.ChoiceField, self.fields["env"])
        environment.choices = [(name, name) for name in names]
        environment.initial = names[0]

    def arguments(self) -> dict[str, Any]:
        """What `issue_key` is called with, besides the tenant and the actor."""
        wanted = self.settings()
        policy = {name: getattr(wanted, name) for name in wanted.described()}
        return policy | {
            "project": self.projects[wanted.project],
            "env": self.cleaned_data["env"],
            "token": self.cleaned_data["token"],
        }


class EditKeyForm(EditForm, KeyForm):
    """What a key may do, as it is to be from now on."""

    def __init__(self, *args: Any, tenant: Tenant, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, tenant=tenant, key=key, initial=initial_of(key, ZoneInfo(tenant.time_zone)), **kwargs)


def initial_of(key: ApiKey, zone: ZoneInfo) -> dict[str, Any]:
    """What the form of a key begins with."""
    standing = settings_of(key)
    return {
        "name": standing.name,
        "project": standing.project,
        "owner": standing.owner,
        "expires_on": _day(standing.expires_at, zone),
        "works_from": _day(standing.not_before, zone),
        "tags": text_of_tags(standing.tags),
        "tier": standing.tier,
        **{name: "\n".join(getattr(standing, name)) for name in LISTS},
        **{name: str(getattr(standing, name) or "") for name in ("rpm", "tpm", "concurrency")},
        "version": key.version,
    }


def _day(moment: datetime | None, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).date().isoformat() if moment else ""


def _begin_of(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day in a zone, in UTC. The calendar's last days have no UTC in every zone."""
    return datetime.combine(min(day, date.max.replace(year=date.max.year - 1)), time(), zone).astimezone(UTC)


class RotateForm(ActionForm):
    """How long the old key goes on working."""

    grace = forms.TypedChoiceField(
        label="The old key works for",
        choices=[("1", "1 more hour"), ("24", "1 more day"), ("168", "7 more days"), ("0", "no longer: it ends now")],
        initial="24",
        coerce=lambda hours: timedelta(hours=int(hours)),
    )


class RevokeForm(ActionForm):
    """The name of the key, typed to show that this very key is meant."""

    name = forms.CharField(
        label="Type the key's name to revoke it",
        error_messages={"required": "Type the name, to show that this very key is meant."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._key = key

    def clean_name(self) -> str:
        typed = str(self.cleaned_data["name"])
        if typed.strip() != self._key.name:
            raise forms.ValidationError(f"That is not the name of this key. Type “{self._key.name}”.")
        return typed
