"""The filters of the spend pages. They come by GET, so that an address is a view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol, cast

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from spend.periods import LABELS, Choice, Period, PeriodError, period_of
from tenants.models import Tenant
from wire.events import Denied, Status

GROUPS = {"model": "Model", "project": "Project", "key": "API key", "provider": "Provider", "env": "Environment"}
COMPARED = {"": "Off", "before": "The days before"}
VIEWS = {"daily": "Daily", "cumulative": "Cumulative", "table": "Table"}
STATUSES = {
    Status.OK: "OK",
    Status.ERROR: "Provider error",
    Status.UNREACHABLE: "Unreachable",
    Status.INTERRUPTED: "Interrupted",
    Status.CANCELLED: "Cancelled",
}
REASONS = {
    Denied.KEY_MISSING: "No key given",
    Denied.KEY_MALFORMED: "Key malformed",
    Denied.KEY_UNKNOWN: "Key unknown",
    Denied.KEY_REVOKED: "Key revoked",
    Denied.KEY_DISABLED: "Key disabled",
    Denied.KEY_EXPIRED: "Key expired",
    Denied.KEY_NOT_YET_VALID: "Key not valid yet",
    Denied.KEY_WRONG_ENVIRONMENT: "Key of another environment",
    Denied.NETWORK_NOT_ALLOWED: "Network not allowed",
    Denied.TENANT_SUSPENDED: "Tenant suspended",
    Denied.PROJECT_SUSPENDED: "Project suspended",
    Denied.BUDGET_EXHAUSTED: "Budget used up",
    Denied.MODEL_NOT_ALLOWED: "Model not allowed",
    Denied.PROVIDER_NOT_ALLOWED: "Provider not allowed",
    Denied.TIER_NOT_ALLOWED: "Tier not allowed",
    Denied.MODEL_NOT_SELECTED: "No model selected",
    Denied.PROVIDER_UNKNOWN: "Provider unknown",
    Denied.MODEL_UNPRICED: "Model without price",
    Denied.RATE_LIMITED: "Rate limit reached",
    Denied.ROUTE_UNKNOWN: "Route unknown",
    Denied.BODY_INVALID: "Body invalid",
    Denied.BODY_TOO_LARGE: "Body too large",
    Denied.POLICY_UNAVAILABLE: "Policy out of reach",
    Denied.OUTBOX_UNAVAILABLE: "Usage could not be recorded",
}

Choices = Sequence[tuple[str, str]]


def _date_input() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def _day() -> forms.DateField:
    return forms.DateField(required=False, widget=_date_input())


class Findable(Protocol):
    """Things of which there may be too many to list them all."""

    def offered(self) -> Choices: ...

    def find(self, text: str) -> tuple[str, str]: ...


class OfferingInput(forms.TextInput):
    """A text field that offers some values, and takes others."""

    offered: Choices = ()

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        list_id = f"offered-{name}"
        field = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)
        options = format_html_join("", '<option value="{}">{}</option>', self.offered)
        return format_html('{}<datalist id="{}">{}</datalist>', field, list_id, options)


class FoundField(forms.CharField):
    """One of many things, by its id or name. Cleans to the id; `words` is then its name."""

    def __init__(self, *, label: str) -> None:
        super().__init__(
            label=label,
            required=False,
            max_length=128,
            widget=OfferingInput(attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "Name or id"}),
        )
        self.words = ""

    def among(self, things: Findable) -> None:
        """What it looks among."""
        self._things = things
        cast(OfferingInput, self.widget).offered = things.offered()

    def clean(self, value: Any) -> str:
        text = str(super().clean(value))
        if not text:
            return ""
        try:
            found, self.words = self._things.find(text)
        except LookupError as error:
            raise forms.ValidationError(str(error)) from error
        return found


class PeriodForm(forms.Form):
    """A period and environments; `chosen` is the period, also when what came cannot be taken."""

    period = forms.ChoiceField(choices=[(each.value, LABELS[each]) for each in Choice], required=False)
    first = _day()
    last = _day()
    env = forms.ChoiceField(required=False, label="Environment")

    def __init__(self, data: Any, *, today: date, envs: Sequence[str], default: Choice = Choice.MONTH_TO_DATE) -> None:
        super().__init__({"period": default.value} | {name: data[name] for name in data if data[name]})
        self._today = today
        self.chosen: Period = period_of(default, today)
        self.fields["period"].initial = default.value
        self.fields["env"].choices = [("", "All"), *((env, env) for env in envs)]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        try:
            self.chosen = period_of(
                Choice(cleaned["period"]), self._today, first=cleaned.get("first"), last=cleaned.get("last")
            )
        except PeriodError as error:
            self.add_error("first", str(error))
        return cleaned

    def value_of(self, name: str) -> str:
        """What a choice is set to; "" when it is not set, or to something that does not exist."""
        return str(self.cleaned_data.get(name) or "") if self.is_valid() or name in self.cleaned_data else ""

    @property
    def envs(self) -> list[str]:
        """The environments to narrow to; [] for all."""
        env = self.value_of("env")
        return [env] if env else []

    @property
    def narrowed(self) -> bool:
        """Whether anything but the period is chosen."""
        return any(
            self.value_of(name)
            for name in self.fields
            if name not in ("period", "first", "last", "group", "compare", "view")
        )

    @property
    def summary(self) -> str:
        """What is chosen, in words: what a phone shows while the filters are folded away."""
        chosen = [self.chosen.label]
        for name, field in self.fields.items():
            value = self.value_of(name)
            if value and name not in ("period", "first", "last", "view"):
                label = str(field.label or name).lower()
                chosen.append(f"{label} {self._label_of(name, value)}")
        return ", ".join(chosen)

    def _label_of(self, name: str, value: str) -> str:
        if isinstance(self.fields[name], FoundField):
            return cast(FoundField, self.fields[name]).words
        choices = getattr(self.fields[name], "choices", ())
        return str(dict(choices).get(value, value))


class OverviewForm(PeriodForm):
    """The spend page's filters."""

    group = forms.ChoiceField(choices=list(GROUPS.items()), required=False, label="Group by")
    compare = forms.ChoiceField(choices=list(COMPARED.items()), required=False, label="Compare with")
    view = forms.ChoiceField(choices=list(VIEWS.items()), required=False, widget=forms.HiddenInput)

    @property
    def compared(self) -> bool:
        """Whether the days before are drawn, too."""
        return bool(self.value_of("compare"))

    @property
    def group_by(self) -> str:
        return self.value_of("group") or "model"

    @property
    def shown(self) -> str:
        return self.value_of("view") or "daily"


class RequestsForm(PeriodForm):
    """The filters of the list of requests."""

    model = forms.ChoiceField(required=False)
    project = forms.ChoiceField(required=False)
    key = FoundField(label="API key")
    status = forms.ChoiceField(
        choices=[("", "All"), *((each.value, name) for each, name in STATUSES.items())], required=False
    )
    search = forms.CharField(required=False, max_length=128, label="Event or request id", strip=True)

    def __init__(self, data: Any, *, models: Sequence[str], projects: Choices, keys: Findable, **rest: Any) -> None:
        super().__init__(data, **rest)
        cast(FoundField, self.fields["key"]).among(keys)
        for name, choices in (("model", [(name, name) for name in models]), ("project", projects)):
            self.fields[name].choices = [("", "All"), *choices]  # type: ignore[attr-defined]


class DenialsForm(PeriodForm):
    """The filters of the list of denials."""

    search = True  # the filter bar then always has its button

    reason = forms.ChoiceField(
        choices=[("", "All"), *((each.value, name) for each, name in REASONS.items())], required=False
    )
    project = forms.ChoiceField(required=False)
    key = FoundField(label="API key")

    def __init__(self, data: Any, *, projects: Choices, keys: Findable, **rest: Any) -> None:
        super().__init__(data, **rest)
        cast(FoundField, self.fields["key"]).among(keys)
        self.fields["project"].choices = [("", "All"), *projects]  # type: ignore[attr-defined]


class SearchForm(forms.Form):
    """A search, and a choice that stays as it is."""

    search = True  # the filter bar then always has its button

    of = forms.CharField(required=False, widget=forms.HiddenInput)
    q = forms.CharField(
        label="Search", required=False, max_length=200, widget=forms.TextInput(attrs={"type": "search"})
    )

    def __init__(self, data: Any, *, placeholder: str, of: str = "") -> None:
        super().__init__({"q": data.get("q", ""), "of": of})
        self.fields["q"].widget.attrs["placeholder"] = placeholder


class ReratingForm(forms.Form):
    """Which calls are to be priced anew."""

    first = forms.DateField(label="First day", help_text="A day in UTC.", widget=_date_input())
    last = forms.DateField(label="Last day", help_text="A day in UTC, included.", widget=_date_input())
    tenant = forms.CharField(
        label="Tenant",
        required=False,
        max_length=120,
        help_text="Its id or its name. All tenants when left out.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "list": "rerating-tenants"}),
    )
    provider = forms.CharField(
        label="Provider",
        required=False,
        max_length=64,
        help_text="All providers when left out.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "list": "rerating-providers"}),
    )
    model = forms.CharField(
        label="Model",
        required=False,
        max_length=400,
        help_text="As it was asked for, or as it was priced. All models when left out.",
    )
    unpriced_only = forms.BooleanField(label="Only calls that have no price", required=False)

    def clean_tenant(self) -> str:
        """The tenant's id."""
        named: str = self.cleaned_data["tenant"].strip()
        if not named:
            return ""
        found = Tenant.objects.filter(pk=named).first() or Tenant.objects.filter(name=named).first()
        if found is None:
            raise forms.ValidationError("There is no tenant with this id or name.")
        return str(found.pk)

    def clean_last(self) -> date:
        """The day, after which there must be another one."""
        last: date = self.cleaned_data["last"]
        if last == date.max:
            raise forms.ValidationError("There is no day after this one.")
        return last

    @property
    def scope(self) -> dict[str, Any]:
        """The arguments of `start_dry_run`."""
        given = self.cleaned_data
        return {
            "begin": datetime.combine(given["first"], time(), UTC),
            "end": datetime.combine(given["last"] + timedelta(days=1), time(), UTC),
            "tenant_id": given["tenant"],
            "provider": given["provider"],
            "model": given["model"],
            "unpriced_only": given["unpriced_only"],
        }
