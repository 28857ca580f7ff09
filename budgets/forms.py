"""Forms of budgets. What is allowed is said by `rules`, through the actions."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, cast

from django import forms
from django.conf import settings

from budgets.actions import Settings
from budgets.converting import budget_currencies
from budgets.models import Budget
from budgets.rules import NAME_LONGEST
from tenants.forms.editing import EditForm
from tenants.models import Tenant
from wire.display import typed_amount


class BudgetForm(EditForm):
    """A budget's settings."""

    fields_of = {"amount_micro": "amount"}

    name = forms.CharField(
        label="Name",
        max_length=NAME_LONGEST,
        help_text="Callers read it when they are refused.",
        error_messages={"required": "Write a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Monthly AI spend"}),
    )
    amount = forms.CharField(
        label="Limit a month",
        max_length=40,
        help_text="Six decimal places at most, like 250 or 0.0001.",
        error_messages={"required": "Write an amount."},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "250.00"}),
    )
    currency = forms.ChoiceField(
        label="Currency",
        required=False,
        help_text="Another one than USD is converted by the ECB's rate of the month's first day, for the whole month.",
    )
    enforcement = forms.ChoiceField(
        label="At 100%",
        choices=[
            (Budget.Enforcement.SOFT, "Tell people; calls go on"),
            (Budget.Enforcement.HARD, "Refuse calls with 402 until the month ends or the limit is raised"),
        ],
        initial=Budget.Enforcement.SOFT,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what happens at 100%."},
    )
    thresholds = forms.CharField(
        label="Tell people at, in percent used",
        max_length=80,
        initial="50, 80, 100",
        error_messages={"required": "Write at least one threshold, like 80."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    envs = forms.MultipleChoiceField(
        label="Environments that count",
        required=False,
        help_text="None chosen: all of them. A hard budget refuses calls in the same ones.",
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = budget_currencies(tenant.currency)
        kept = self.initial.get("currency")
        currency = cast(forms.ChoiceField, self.fields["currency"])
        currency.choices = [(code, code) for code in (*offered, *([kept] if kept and kept not in offered else []))]
        currency.initial = offered[0]
        envs = cast(forms.MultipleChoiceField, self.fields["envs"])
        envs.choices = [(name, name) for name in settings.SPENDOPS.environments]

    def meaning(self, name: str, value: Any) -> Any:
        """An amount by its number, thresholds and environments without their order."""
        if name == "thresholds":
            return set(_numbers(str(value or "")))
        if name == "envs":
            return set(value or ())
        try:
            return Decimal(str(value).replace(",", "")) if name == "amount" else super().meaning(name, value)
        except InvalidOperation:
            return str(value)

    def wanted(self) -> Settings:
        """What the actions are told."""
        given = self.cleaned_data
        return Settings(
            name=given["name"],
            amount=given["amount"],
            currency=given["currency"] or None,
            enforcement=given["enforcement"],
            thresholds=_numbers(given["thresholds"]),
            envs=given["envs"],
        )


def _numbers(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").replace(";", " ").split() if word != "%"]


def initial_of(budget: Budget) -> dict[str, Any]:
    """What the form of a budget begins with."""
    return {
        "name": budget.name,
        "amount": typed_amount(budget.amount_micro),
        "currency": budget.currency,
        "enforcement": budget.enforcement,
        "thresholds": ", ".join(str(each) for each in budget.thresholds),
        "envs": budget.envs,
        "version": budget.version,
    }
