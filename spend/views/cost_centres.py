"""Cost centres: who pays, the rules, and changing them with a look at the last days first."""

from __future__ import annotations

import json
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from access.step_up import step_up_required
from spend.clickhouse.errors import UnavailableError
from spend.cost_centres.actions import change_cost_centres
from spend.cost_centres.forms import CentreForms, RuleForms, book_from, names_of, rows_of
from spend.cost_centres.queries import DAYS, Outcome, held_by, outcome
from spend.cost_centres.rules import FIELDS, SPLITS, TAG, UNALLOCATED, Book, Rule, cleaned
from spend.queries.freshness import freshness
from spend.views.live import OUT_OF_REACH, today_of
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.models import ApiKey, Tenant
from tenants.permissions import Permission, needs
from wire.display import days, share_of

_MOVES = {"up": -1, "down": 1}


@needs(Permission.SPEND_VIEW)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Who pays for the last days, and by which rules."""
    tenant = cast(TenantRequest, request).tenant
    held = held_by(tenant.id)
    context = _rules(tenant, held.book) | {"days": DAYS}
    try:
        context |= _outcome(outcome(tenant.id, held.book, today=today_of(tenant))) | {"fresh": freshness(tenant.id)}
    except UnavailableError:
        return render(request, "spend/cost_centres.html", context | {"unavailable": True}, status=OUT_OF_REACH)
    return render(request, "spend/cost_centres.html", context)


@needs(Permission.COST_CENTRES_CHANGE)
def edit(request: HttpRequest) -> HttpResponse:
    """The rules as rows to be filled in. Nothing is kept before they were looked at and confirmed."""
    tenant = cast(TenantRequest, request).tenant
    if request.method != "POST":
        held = held_by(tenant.id)
        rules, centres = rows_of(held.book, names_of(tenant))
        return _form(request, rules or [{}], centres, version=held.version)
    rules, centres = _rows(RuleForms, "rules", request), _rows(CentreForms, "centres", request)
    version, do = request.POST.get("version", ""), request.POST.get("do", "review")
    if do != "review":
        _do(do, rules, centres)
        return _form(request, rules, centres, version=version)
    try:
        book = cleaned(book_from(tenant, rules, centres, held=held_by(tenant.id).book))
        found = _outcome(outcome(tenant.id, book, today=today_of(tenant)))
    except RefusedError as error:
        return _form(request, rules, centres, version=version, error=error.message, status=422)
    except UnavailableError as error:
        words = f"{error} Nothing was changed."
        return _form(request, rules, centres, version=version, error=words, status=OUT_OF_REACH)
    context = _rules(tenant, book) | found | {"version": version, "days": DAYS, "stored": json.dumps(book.stored())}
    return render(request, "spend/cost_centres_review.html", context)


@needs(Permission.COST_CENTRES_CHANGE)
@require_POST
@step_up_required(bound=True)
def save(request: HttpRequest) -> HttpResponse:
    """Let the rules hold that were looked at."""
    request = cast(TenantRequest, request)
    try:
        version, book = int(request.POST.get("version", "")), Book.of(json.loads(request.POST.get("book", "")))
    except (ValueError, TypeError, KeyError, AttributeError):
        messages.error(request, "The rules did not arrive as they were shown. Nothing was changed: edit them again.")
        return redirect("spend:cost_centres_edit")
    try:
        change_cost_centres(tenant=request.tenant, book=book, version=version, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
        return redirect("spend:cost_centres_edit")
    messages.success(request, "The rules hold now, for past usage too. Sealed statements stay as they are.")
    return redirect("spend:cost_centres")


def _rows(forms: Any, prefix: str, request: HttpRequest) -> list[dict[str, str]]:
    formset = forms(request.POST, prefix=prefix)
    if (
        not formset.is_valid()
    ):  # only what is too long, or a choice that there is not: taken as it is, and refused later
        return [{name: str(form[name].value() or "") for name in form.fields} for form in formset.forms]
    return [{name: str(value or "") for name, value in form.cleaned_data.items()} for form in formset.forms]


def _do(do: str, rules: list[dict[str, str]], centres: list[dict[str, str]]) -> None:
    """What one of the form's other buttons asks for: a row more or less, or one moved."""
    what, _, place = do.partition("-")
    at = int(place) if place.isdecimal() else -1
    if what == "rule":
        rules.append({})
    elif what == "centre":
        centres.append({"split": "equal"})
    elif what == "drop" and at < len(rules):
        rules.pop(at)
    elif what == "unshare" and at < len(centres):
        centres.pop(at)
    elif what in _MOVES and 0 <= at < len(rules) and 0 <= at + _MOVES[what] < len(rules):
        rules[at], rules[at + _MOVES[what]] = rules[at + _MOVES[what]], rules[at]


def _form(
    request: HttpRequest,
    rules: list[dict[str, str]],
    centres: list[dict[str, str]],
    *,
    version: int | str,
    error: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "rules": RuleForms(initial=rules, prefix="rules"),
        "centres": CentreForms(initial=centres, prefix="centres"),
        "version": version,
        "error": error,
    }
    return render(request, "spend/cost_centres_edit.html", context, status=status)


def _rules(tenant: Tenant, book: Book) -> dict[str, Any]:
    names = names_of(tenant)
    keys = {value for rule in book.rules for value in rule.when.get("key", ())}
    names |= dict(ApiKey.objects.filter(tenant=tenant, pk__in=keys).values_list("pk", "name"))
    return {
        "rules": [{"centre": rule.centre, "when": _in_words(rule, names)} for rule in book.rules],
        "shared": [
            {
                "name": each.name,
                "split": SPLITS[each.split],
                "shares": ", ".join(f"{name} {share / 100:g} %" for name, share in each.shares.items()),
            }
            for each in book.centres
            if each.split
        ],
    }


def _in_words(rule: Rule, names: dict[str, str]) -> str:
    parts = []
    for name, values in rule.when.items():
        label = f"Tag {name.removeprefix(TAG)}" if name.startswith(TAG) else FIELDS[name]
        parts.append(f"{label} is {' or '.join(names.get(value, value) for value in values)}")
    return ", and ".join(parts)


def _outcome(found: Outcome) -> dict[str, Any]:
    whole = found.whole
    return {
        "span": days(found.first, found.last),
        "paid": [
            {
                "centre": each.centre,
                "own": each.own,
                "shared": sum(each.shared.values()),
                "total": each.total,
                "requests": found.requests.get(each.centre, 0),
                "share": share_of(each.total, whole),
                "is_rest": each.centre == UNALLOCATED,
            }
            for each in found.paid
        ],
        "whole": whole,
        "unallocated": found.unallocated,
        "unallocated_share": share_of(found.unallocated, whole),
        "allocated": whole - found.unallocated,
        "allocated_share": share_of(whole - found.unallocated, whole),
    }
