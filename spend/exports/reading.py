"""What a page shows, as an export: the page's own address is read by the page's own form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from django.conf import settings
from django.http import QueryDict
from django.utils import timezone

from spend.exploring.view import View, read
from spend.exports.wanted import Kind, Wanted
from spend.forms import DenialsForm, OverviewForm, PeriodForm, RequestsForm
from spend.names import Keys, names_of
from spend.queries.slices import Each, Slice
from spend.zones import calendar_of, ms_of
from tenants.errors import InvalidSettingError
from tenants.models import Tenant

_LISTED = ("env", "project", "key")


def wanted_of_page(page: str, query: QueryDict, tenant: Tenant) -> Wanted:
    """The export of what one of `PAGES` shows at an address. Raises InvalidSettingError."""
    if page not in PAGES:
        raise InvalidSettingError(f"This page cannot be exported: choose one of {', '.join(PAGES)}.", field="of")
    return PAGES[page](query, tenant)


def _spend(query: QueryDict, tenant: Tenant) -> Wanted:
    form = OverviewForm(query, today=_today(tenant), envs=settings.SPENDOPS.environments)
    return Wanted(Kind.SPEND, _slice(_read(form), tenant, "env"), (form.group_by,), Each.DAY)


def _requests(query: QueryDict, tenant: Tenant) -> Wanted:
    form = RequestsForm(
        query,
        today=_today(tenant),
        envs=settings.SPENDOPS.environments,
        models=[query.get("model", "")],
        projects=names_of(tenant.id).project_choices,
        keys=Keys(tenant.id, seen=None),
    )
    _read(form)
    exactly = {"called": form.value_of("model"), "search": form.value_of("search")}
    return Wanted(Kind.USAGE, _slice(form, tenant, *_LISTED, "status"), exactly=_said(exactly))


def _denials(query: QueryDict, tenant: Tenant) -> Wanted:
    form = DenialsForm(
        query,
        today=_today(tenant),
        envs=settings.SPENDOPS.environments,
        projects=names_of(tenant.id).project_choices,
        keys=Keys(tenant.id, seen=None),
    )
    _read(form)
    return Wanted(Kind.DENIALS, _slice(form, tenant, *_LISTED), exactly=_said({"reason": form.value_of("reason")}))


def _explore(query: QueryDict, tenant: Tenant) -> Wanted:
    now, own = timezone.now(), tenant.time_zone
    view, problems = read(query, lambda zone: View(zone=zone).today(now, own))
    if problems:
        raise InvalidSettingError(problems[0].message, field="query")
    return Wanted(Kind.SPEND, view.slice_of(view.period(view.today(now, own))), tuple(view.by_all), view.each)


PAGES: Mapping[str, Callable[[QueryDict, Tenant], Wanted]] = {
    "spend": _spend,
    "requests": _requests,
    "denials": _denials,
    "explore": _explore,
}


def _today(tenant: Tenant) -> date:
    return calendar_of(tenant.id).day_of(ms_of(timezone.now()))


def _read(form: PeriodForm) -> PeriodForm:
    if not form.is_valid():
        name, errors = next(iter(form.errors.items()))
        raise InvalidSettingError(f"{str(name).capitalize()}: {errors[0]}", field="query")
    return form


def _slice(form: PeriodForm, tenant: Tenant, *names: str) -> Slice:
    chosen: dict[str, Any] = {name: (value,) for name in names if (value := form.value_of(name))}
    return Slice(form.chosen.first, form.chosen.last, zone=tenant.time_zone, only=chosen)


def _said(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in given.items() if value}
