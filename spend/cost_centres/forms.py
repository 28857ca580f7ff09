"""The forms of cost centres: rules and shared centres as rows, which become a book and come from one."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from spend.cost_centres.rules import FIELDS, SPLITS, TAG, VALUE_LONGEST, Book, Centre, Rule
from tenants.errors import InvalidSettingError
from tenants.models import ApiKey, Project, Tenant

_TEXT_LONGEST = 4_000
_SEVERAL, _QUOTE = ",", '"'


class RuleForm(forms.Form):
    """One rule. Several values of a field are separated by commas."""

    centre = forms.CharField(label="Cost centre", required=False, max_length=200)
    project = forms.CharField(label="Project", required=False, max_length=_TEXT_LONGEST)
    key = forms.CharField(label="API key", required=False, max_length=_TEXT_LONGEST)
    model = forms.CharField(label="Model", required=False, max_length=_TEXT_LONGEST)
    provider = forms.CharField(label="Provider", required=False, max_length=_TEXT_LONGEST)
    env = forms.CharField(label="Environment", required=False, max_length=_TEXT_LONGEST)
    end_user = forms.CharField(label="End user", required=False, max_length=_TEXT_LONGEST)
    tags = forms.CharField(label="Tags", required=False, max_length=_TEXT_LONGEST)


class CentreForm(forms.Form):
    """A shared cost centre."""

    name = forms.CharField(label="Shared cost centre", required=False, max_length=200)
    split = forms.ChoiceField(
        label="Split", required=False, choices=[each for each in SPLITS.items() if each[0]], initial="equal"
    )
    shares = forms.CharField(label="Percent of each", required=False, max_length=_TEXT_LONGEST)


RuleForms = forms.formset_factory(RuleForm, extra=0, max_num=200)
CentreForms = forms.formset_factory(CentreForm, extra=0, max_num=200)


def rows_of(book: Book, names: Mapping[str, str]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """A book as the rows of its forms."""
    rules = []
    for rule in book.rules:
        row = {"centre": rule.centre}
        for name, values in rule.when.items():
            if name.startswith(TAG):
                tags = _joined(f"{name.removeprefix(TAG)}={value}" for value in values)
                row["tags"] = f"{_SEVERAL} ".join([*filter(None, [row.get("tags", "")]), tags])
            else:
                row[name] = _joined(names.get(value, value) for value in values)
        rules.append(row)
    centres = [
        {
            "name": each.name,
            "split": each.split,
            "shares": _joined(f"{name} {share / 100:g}" for name, share in each.shares.items()),
        }
        for each in book.centres
        if each.split
    ]
    return rules, centres


def book_from(tenant: Tenant, rules: list[dict[str, Any]], centres: list[dict[str, Any]], *, held: Book) -> Book:
    """The book that rows say, not checked yet. Rows without anything are left out. Raises InvalidSettingError.

    Cost centres that only pay parts of shared ones have no row; they stay as they are `held`.
    """
    found = []
    for number, row in enumerate(rules, 1):
        if not any(row.values()):
            continue
        when: dict[str, tuple[str, ...]] = {}
        for name in FIELDS:
            values = _split(row.get(name, ""))
            if values:
                when[name] = tuple(_ids(tenant, name, values, number))
        for each in _split(row.get("tags", "")):
            tag, sign, value = each.partition("=")
            if not sign:
                raise InvalidSettingError(f"Rule {number}: write a tag like team=search, not {each[:80]!r}.")
            when[TAG + tag.strip()] = (*when.get(TAG + tag.strip(), ()), value.strip())
        found.append(Rule(row.get("centre", ""), when))
    shared = [
        Centre(row["name"], row.get("split") or "equal", _shares(row)) for row in centres if row.get("name", "").strip()
    ]
    named = {each.name for each in shared} | {rule.centre for rule in held.rules}
    payers = [each for each in held.centres if not each.split and each.name not in named]
    return Book((*shared, *payers), tuple(found))


def names_of(tenant: Tenant) -> dict[str, str]:
    """What a tenant's projects are called."""
    return dict(Project.objects.filter(tenant=tenant).values_list("pk", "name"))


def _joined(values: Iterable[str]) -> str:
    """Values as `_split` reads them: in quotes where they would be read as something else."""
    return f"{_SEVERAL} ".join(
        f'"{each.replace(_QUOTE, 2 * _QUOTE)}"' if _SEVERAL in each or _QUOTE in each else each for each in values
    )


def _split(text: str) -> list[str]:
    """Raises InvalidSettingError."""
    try:
        rows = list(csv.reader([" ".join(text.splitlines())], skipinitialspace=True))
    except csv.Error as error:
        raise InvalidSettingError(f"“{text[:80]}…” cannot be read as values with commas between them.") from error
    return [each.strip() for row in rows for each in row if each.strip()]


def _ids(tenant: Tenant, field: str, values: list[str], number: int) -> list[str]:
    """The ids of projects and keys that were written by their names."""
    if field not in ("project", "key"):
        return values
    model = Project if field == "project" else ApiKey
    found: list[str] = []
    for value in values:
        rows = model.objects.filter(tenant=tenant)
        ids = list(rows.filter(pk=value).values_list("pk", flat=True)) if len(value) <= VALUE_LONGEST else []
        ids = ids or list(rows.filter(name=value).values_list("pk", flat=True))
        if not ids:
            raise InvalidSettingError(
                f"Rule {number}: there is no {FIELDS[field]} “{value[:80]}”: give its name or id."
            )
        found += ids
    return found


def _shares(row: Mapping[str, str]) -> dict[str, int]:
    shares = {}
    for each in _split(row.get("shares", "")) if row.get("split") == "fixed" else []:
        name, _, percent = each.removesuffix("%").strip().rpartition(" ")
        whole, _, part = percent.partition(".")
        if not name or not whole.isdecimal() or len(whole) > 3 or (part and not part.isdecimal()) or len(part) > 2:
            raise InvalidSettingError(
                f"“{row['name'][:80]}”: write shares like “Checkout 60, Search 40”, not {each[:80]!r}."
            )
        shares[name.strip()] = int(whole) * 100 + int(part.ljust(2, "0") or 0)
    return shares
