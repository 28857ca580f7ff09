"""Forms of overrides. What is allowed is said by `override_rules`, through the actions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

from django import forms
from django.forms import BoundField
from django.utils import timezone

from pricing.models import Override, Provider
from pricing.override_rules import (
    ANY,
    MODEL_LONGEST,
    PRIORITY_MOST,
    PROVIDER_LONGEST,
    OverrideSettings,
    basis_points_from_text,
    percent_text,
    price_text,
)
from pricing.typed import price_from_text
from tenants.forms.base import name_field
from tenants.forms.editing import EditForm
from tenants.forms.lists import ListForm
from tenants.models import Project, Tenant
from wire.overrides import OverrideKind
from wire.units import UNITS, Measure

ROWS_LEAST, ROWS_MOST = 6, len(UNITS)
_FIRST_UNITS = ("input", "output", "cache_read", "cache_write")
_ROW = re.compile(r"price_unit_(\d{1,3})", re.ASCII)
_A_MILLION = (Measure.TOKEN, Measure.CHARACTER, Measure.PIXEL)
_OFF, _ON_TOP = "off", "on"


class PriceRow(NamedTuple):
    """The two fields of one price."""

    unit: BoundField
    amount: BoundField


class OverrideForm(EditForm):
    """What an override says. Times are the tenant's; prices are USD as price lists quote them."""

    fields_of = {"prices": "price_amount_0"}

    name = name_field("Name", "People read it beside what they are charged.", "Volume discount")
    project: forms.ModelChoiceField[Project] = forms.ModelChoiceField(
        label="Project",
        queryset=None,
        required=False,
        empty_label="All projects",
        help_text="Overrides of one project are tried before those of all projects.",
    )
    provider = forms.CharField(
        label="Provider",
        max_length=PROVIDER_LONGEST,
        required=False,
        help_text="Its name, or part of it with * for the rest. Empty or *: every provider.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "list": "override-providers", "placeholder": ANY, "spellcheck": "false"}
        ),
    )
    model = forms.CharField(
        label="Model",
        max_length=MODEL_LONGEST,
        required=False,
        help_text="A model of the catalogue, or part of its name with *: gpt-4o* is gpt-4o, gpt-4o-mini and so on.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": ANY, "spellcheck": "false"}),
    )
    kind = forms.ChoiceField(
        label="What is charged instead of the list price",
        choices=[
            (OverrideKind.PERCENT.value, "The list price, with a percentage off or on top"),
            (OverrideKind.ABSOLUTE.value, "Prices of its own"),
            (OverrideKind.FREE.value, "Nothing: free of charge"),
        ],
        initial=OverrideKind.PERCENT.value,
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choose what is charged instead.",
            "invalid_choice": "Choose what is charged instead.",
        },
    )
    percent = forms.CharField(
        label="Percentage",
        max_length=16,
        required=False,
        help_text="Two decimal places at most, like 15 or 2.5.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "15"}),
    )
    direction = forms.ChoiceField(
        label="Cheaper or dearer",
        choices=[(_OFF, "% off the list price"), (_ON_TOP, "% on top of the list price")],
        required=False,
    )
    starts_at = forms.CharField(label="Begins", max_length=40, required=False)
    ends_at = forms.CharField(label="Ends", max_length=40, required=False)
    priority = forms.IntegerField(
        label="Priority",
        required=False,
        initial=0,
        min_value=-PRIORITY_MOST,
        max_value=PRIORITY_MOST,
        help_text="The higher is tried first; of equal ones, the newer.",
        error_messages={"invalid": "Write a whole number, or leave it empty for 0."},
        widget=forms.NumberInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, tenant: Tenant, override: Override | None = None, **kwargs: Any) -> None:
        if override is not None:
            kwargs.setdefault("initial", initial_of(override, ZoneInfo(tenant.time_zone)))
        super().__init__(*args, **kwargs)
        self._zone = ZoneInfo(tenant.time_zone)
        self._override = override
        projects = Project.objects.filter(tenant=tenant).exclude(status=Project.Status.ARCHIVED).order_by("name")
        if override is not None and override.project_id:
            projects = projects | Project.objects.filter(tenant=tenant, pk=override.project_id)
        cast(forms.ModelChoiceField, self.fields["project"]).queryset = projects
        for name, words in (
            ("starts_at", "Empty: as it is." if override else "Empty: now."),
            ("ends_at", "From then on it no longer holds. Empty: no end."),
        ):
            self.fields[name].widget = forms.TextInput(attrs={"type": "datetime-local", "step": "1"})
            self.fields[name].help_text = f"In {tenant.time_zone}. {words}"
        self._add_price_rows()

    def _add_price_rows(self) -> None:
        numbers = [int(found[1]) for name in self.data if (found := _ROW.fullmatch(name))]
        kept = [int(found[1]) for name in self.initial if (found := _ROW.fullmatch(name))]
        self._rows = min(ROWS_MOST, max([ROWS_LEAST - 1, *numbers, *(number + 1 for number in kept)]) + 1)
        choices = [("", "Another unit …"), *((unit.name, unit_words(unit.name)) for unit in UNITS.values())]
        for number in range(self._rows):
            first = _FIRST_UNITS[number] if number < len(_FIRST_UNITS) and not kept else ""
            self.fields[f"price_unit_{number}"] = forms.ChoiceField(
                label=f"Unit of price {number + 1}", choices=choices, required=False, initial=first
            )
            self.fields[f"price_amount_{number}"] = forms.CharField(
                label=f"Price {number + 1} in USD",
                max_length=40,
                required=False,
                widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "0.15"}),
            )

    @property
    def price_rows(self) -> list[PriceRow]:
        """The rows of prices, as the page shows them."""
        return [PriceRow(self[f"price_unit_{n}"], self[f"price_amount_{n}"]) for n in range(self._rows)]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("kind") == OverrideKind.PERCENT:
            self._clean_percent(found)
        if found.get("kind") == OverrideKind.ABSOLUTE:
            found["prices"] = dict(self._clean_prices(found))
            if not found["prices"] and not self.errors:
                self.add_error("price_amount_0", "Give at least one price: what is not named keeps its list price.")
        for name in ("starts_at", "ends_at"):
            found[f"{name}_moment"] = self._moment(name, found.get(name) or "")
        return found

    def _clean_percent(self, found: dict[str, Any]) -> None:
        text = (found.get("percent") or "").strip()
        if not text:
            self.add_error("percent", "Write a percentage, like 15.")
            return
        try:
            points = basis_points_from_text(text)
        except ValueError as error:
            self.add_error("percent", str(error))
            return
        off = found.get("direction") != _ON_TOP
        if text[0] in "-−+" and off != (text[0] != "+"):
            self.add_error("percent", f"Write it without {text[0]}, or choose the other direction: they contradict.")
            return
        found["basis_points"] = -abs(points) if off else points

    def _clean_prices(self, found: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
        seen = set()
        for number in range(self._rows):
            unit, amount = found.get(f"price_unit_{number}") or "", found.get(f"price_amount_{number}") or ""
            if not amount.strip():
                continue
            if not unit:
                self.add_error(f"price_unit_{number}", "Choose what this price is for.")
            elif unit in seen:
                self.add_error(f"price_unit_{number}", f"There is a price for {UNITS[unit].label} above already.")
            else:
                seen.add(unit)
                try:
                    yield unit, price_from_text(unit, amount)
                except ValueError as error:
                    self.add_error(f"price_amount_{number}", str(error))

    def _moment(self, name: str, text: str) -> datetime | None:
        """As typed, in the tenant's zone. What was not touched stays exactly what it is."""
        held = getattr(self._override, name) if self._override is not None else None
        if not text.strip():
            return None
        if held is not None and text == typed_moment(held, self._zone):
            return cast(datetime, held)
        try:
            found = datetime.fromisoformat(text.strip())
        except ValueError:
            self.add_error(name, "Write a day like 2026-12-01, or a moment like 2026-12-01T18:00.")
            return None
        return found if found.tzinfo else found.replace(tzinfo=self._zone)

    def wanted(self) -> OverrideSettings:
        """What the actions are told."""
        given = self.cleaned_data
        return OverrideSettings(
            name=given["name"],
            kind=given["kind"],
            starts_at=given["starts_at_moment"] or (self._override.starts_at if self._override else timezone.now()),
            ends_at=given["ends_at_moment"],
            provider=given["provider"] or ANY,
            model=given["model"] or ANY,
            project=given["project"].pk if given["project"] else "",
            prices=given.get("prices") or {},
            basis_points=given.get("basis_points") or 0,
            priority=given["priority"] or 0,
        )


def unit_words(unit: str) -> str:
    """A unit and what its price is for: "input tokens, a million"."""
    known = UNITS[unit]
    return f"{known.label}, {'a million' if known.measure in _A_MILLION else 'each'}"


def typed_moment(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as its field holds it: to the second, in a zone."""
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")


def initial_of(override: Override, zone: ZoneInfo) -> dict[str, Any]:
    """What the form of an override begins with."""
    prices: dict[str, str] = {}
    for number, (unit, pico) in enumerate(sorted(override.prices.items(), key=lambda each: list(UNITS).index(each[0]))):
        prices |= {f"price_unit_{number}": unit, f"price_amount_{number}": price_text(unit, pico)}
    return {
        "name": override.name,
        "project": override.project_id or "",
        "provider": override.provider,
        "model": override.model,
        "kind": override.kind,
        "percent": percent_text(abs(override.basis_points)) if override.kind == OverrideKind.PERCENT else "",
        "direction": _ON_TOP if override.basis_points > 0 else _OFF,
        "starts_at": typed_moment(override.starts_at, zone),
        "ends_at": typed_moment(override.ends_at, zone) if override.ends_at else "",
        "priority": override.priority,
        "version": override.version,
    } | prices


def provider_ids() -> list[str]:
    """The providers to choose from."""
    return list(Provider.objects.filter(gone=False).order_by("id").values_list("id", flat=True))


class OverrideListForm(forms.Form):
    """Which overrides to list."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=120,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Name, provider or model"}),
    )


class WhichForm(forms.Form):
    """A call to be, for which the override is looked for."""

    provider = forms.CharField(
        label="Provider",
        max_length=PROVIDER_LONGEST,
        error_messages={"required": "Write a provider, like openai."},
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "list": "override-providers", "placeholder": "openai", "spellcheck": "false"}
        ),
    )
    model = forms.CharField(
        label="Model",
        max_length=512,
        error_messages={"required": "Write a model as callers name it."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "gpt-4o-mini", "spellcheck": "false"}),
    )
    project: forms.ModelChoiceField[Project] = forms.ModelChoiceField(
        label="Project", queryset=None, required=False, empty_label="Any without its own"
    )
    at = forms.CharField(
        label="At", max_length=40, required=False, widget=forms.TextInput(attrs={"type": "datetime-local"})
    )

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._zone = ZoneInfo(tenant.time_zone)
        self.fields["at"].help_text = f"In {tenant.time_zone}. Empty: now."
        cast(forms.ModelChoiceField, self.fields["project"]).queryset = Project.objects.filter(tenant=tenant).order_by(
            "name"
        )

    def clean_at(self) -> datetime:
        text = self.cleaned_data["at"].strip()
        if not text:
            return timezone.now()
        try:
            found = datetime.fromisoformat(text)
        except ValueError as error:
            raise forms.ValidationError("Write a moment like 2026-12-01T18:00.") from error
        if not 2000 <= found.year < 2100:
            raise forms.ValidationError("Choose a moment between 2000 and 2100.")
        return found if found.tzinfo else found.replace(tzinfo=self._zone)


class UploadForm(ListForm):
    """A list of overrides."""

    formats = "CSV with a line of column names, a JSON list, or JSON lines."
    example = "name,provider,model,kind,percent\nVolume discount,openai,gpt-4o*,percent,-15"
    accepted = ".csv,.json,.jsonl,.ndjson,.txt"
