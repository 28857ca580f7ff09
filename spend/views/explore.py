"""The Explore page: any grouping, filter, period, zone and measure. Its address is the view."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from spend.cache_savings import cache_savings
from spend.clickhouse.errors import TooMuchError, UnavailableError
from spend.exploring.filters import pairs_of
from spend.exploring.forms import ExploreForm, NarrowForm
from spend.exploring.measures import MEASURES, together
from spend.exploring.present import shown
from spend.exploring.queries import default_view, may_change, may_share, views_seen
from spend.exploring.result import explore
from spend.exploring.view import Problem, View, read
from spend.exploring.words import Words
from spend.periods import Period
from spend.queries.dimensions import LABELS, in_words, label_of
from spend.queries.freshness import freshness
from spend.queries.ratios import denied, latency
from spend.queries.slices import NotKeptError, cells
from spend.queries.tags import tags_used
from spend.views.live import NOTHING_NEW, OUT_OF_REACH, stamp
from spend.views.overview import first_call
from spend.waiting import calls_on_their_way
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import counted

OFFERED_MOST = 50


class Asked(NamedTuple):
    """What a request asks for, and what whoever asks may see of it."""

    request: TenantRequest
    view: View
    problems: list[Problem]
    period: Period
    keys: Collection[str] | None

    @property
    def tenant_id(self) -> str:
        return str(self.request.tenant.id)

    @property
    def zone(self) -> str:
        """The zone that days are in, by its name."""
        return self.view.zone or str(self.request.tenant.time_zone)


def asked_by(request: TenantRequest) -> Asked:
    """The view of a request's address."""
    now, own = timezone.now(), request.tenant.time_zone
    view, problems = read(request.GET, lambda zone: View(zone=zone).today(now, own))
    return Asked(request, view, problems, view.period(view.today(now, own)), keys_seen(request))


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The whole page. A filter that is added leads to the address that has it."""
    asked = asked_by(cast(TenantRequest, request))
    if "add" in request.GET:
        return _narrowed(asked)
    if not request.GET:
        begins = default_view(asked.request.tenant, asked.request.user)
        if begins is not None:
            return redirect("spend:explore_view", begins.pk)
    return _answer(asked, "spend/explore.html")


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def data(request: HttpRequest) -> HttpResponse:
    """The part that changes. 204 while it is what the page says it has `seen`."""
    return _answer(asked_by(cast(TenantRequest, request)), "spend/_explore.html")


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def ratios(request: HttpRequest) -> HttpResponse:
    """How the calls of a view went: latency, refusals, and what caches saved. From single events, so on its own."""
    asked = asked_by(cast(TenantRequest, request))
    of = asked.view.slice_of(asked.period, asked.keys)
    context: dict[str, Any]
    try:
        passed = together(cells(asked.tenant_id, of), asked.period.first).requests
        refused = denied(asked.tenant_id, of, passed=passed)
        context = {
            "latency": latency(asked.tenant_id, of),
            "denied": refused,
            "denied_of": refused and refused.denied + refused.passed,
            "savings": cache_savings(asked.tenant_id, of),
        }
    except UnavailableError:
        context = {"unavailable": True}
    except TooMuchError:
        context = {"too_much": True}
    except NotKeptError:
        context = {"not_kept": True}
    return render(request, "spend/_explore_ratios.html", context)


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def values(request: HttpRequest) -> HttpResponse:
    """The values of a dimension that a view's days know, those used most first, as the options of a text field."""
    asked = asked_by(cast(TenantRequest, request))
    name = request.GET.get("add", "")
    try:
        of = replace(asked.view, only={}, without={}).slice_of(asked.period, asked.keys)
        found = cells(asked.tenant_id, of, by=[name], order_by="requests", most=OFFERED_MOST, purpose="explore: values")
    except (ValueError, UnavailableError, TooMuchError):
        found = []
    words = _words(asked)
    words.learn(name, (cell.groups[0] for cell in found))
    offered = [(cell.groups[0], words.of(name, cell.groups[0])) for cell in found if cell.groups[0]]
    return render(request, "spend/_explore_values.html", {"offered": offered})


def _narrowed(asked: Asked) -> HttpResponse:
    request, view = asked.request, asked.view
    form = NarrowForm(request.GET, tags=[])
    if form.is_valid():
        name, left_out = form.cleaned_data["add"], form.cleaned_data["how"] == "not"
        text = form.cleaned_data["value"].strip()
        try:
            value = _words(asked).value_of(name, text) if text else ""
        except LookupError as error:
            messages.error(request, str(error))
        else:
            view = view.with_filter(name, value, left_out=left_out)
    else:
        messages.error(request, "This filter does not exist: choose what to narrow to.")
    return HttpResponseRedirect(f"{reverse('spend:explore')}?{view.query()}")


def _words(asked: Asked) -> Words:
    return Words(asked.tenant_id, seen=asked.keys)


def _answer(asked: Asked, template: str) -> HttpResponse:
    request, view, live = asked.request, asked.view, template.startswith("spend/_")
    context: dict[str, Any] = {
        "live": live,
        "view": view,
        "query": view.query(page=view.page),
        "problems": asked.problems,
        "zone": asked.zone,
        "period": asked.period,
        "own_zone": not view.zone or view.zone == request.tenant.time_zone,
    }
    words = _words(asked)
    try:
        fresh = freshness(asked.tenant_id, keys=asked.keys)
        seen = stamp(fresh, asked.period, context["query"])
        if live and request.GET.get("seen") == seen:
            return HttpResponse(status=NOTHING_NEW)
        if not live:
            context |= _controls(asked, words, tags_used(asked.tenant_id, view.slice_of(asked.period, asked.keys)))
        found = explore(asked.tenant_id, view, asked.period, keys=asked.keys, words=words)
        context |= {"fresh": fresh, "seen": seen} | shown(found, words, asked.zone)
        if context["nothing"]:
            context |= {"waiting": calls_on_their_way(), "first_call": first_call()}
    except NotKeptError as error:
        context |= {"not_kept": str(error), "fresh": fresh, "seen": seen}
        context |= {} if live else _controls(asked, words, [])
    except TooMuchError:
        context |= {"too_much": True, "fresh": fresh, "seen": seen} | ({} if live else _controls(asked, words, []))
    except UnavailableError:
        context |= {"unavailable": True} | ({} if live else _controls(asked, words, []))
        return render(request, template, context, status=OUT_OF_REACH)
    return render(request, template, context)


def _controls(asked: Asked, words: Words, tags: list[str]) -> dict[str, Any]:
    """The form, and the filters as chips that can be taken away."""
    view = asked.view
    chips = []
    for left_out, chosen in ((False, view.only), (True, view.without)):
        for name, held in sorted(chosen.items()):
            words.learn(name, held)
            chips += [
                {
                    "label": label_of(name),
                    "left_out": left_out,
                    "value": words.of(name, value),
                    "query": view.lifted(name, value, left_out=left_out).query(),
                }
                for value in held
            ]
    return {
        "form": ExploreForm(view, tags=tags, own_zone=asked.request.tenant.time_zone),
        "narrow": NarrowForm({"add": next(iter(LABELS)), "how": "is"}, tags=tags),
        "held": [(name, value) for name, value in view.pairs() if name in ("chart", "sort", "order")]
        + pairs_of(view.only, view.without),
        "pairs": view.pairs(),
        "chips": chips,
        "unnarrowed": replace(view, only={}, without={}).query(),
        **_saved(asked),
        "summary": _summary(view, asked.period),
    }


def _saved(asked: Asked) -> dict[str, Any]:
    """The views that can be chosen, and the one that the address says it is of."""
    request = asked.request
    views = list(views_seen(request.tenant, request.user))
    saved = next((each for each in views if each.pk == request.GET.get("saved")), None)
    return {
        "saved_views": views,
        "saved": saved,
        "saved_same": saved is not None and saved.query == asked.view.query(),
        "saved_changes": saved is not None and may_change(request, saved),
        "shares": may_share(request),
    }


def _summary(view: View, period: Period) -> str:
    parts = [
        period.label,
        f"{MEASURES[view.measure].label.lower()} by {in_words(view.by) if view.by else 'all'}",
    ]
    filters = len(pairs_of(view.only, view.without))
    return ", ".join([*parts, *([counted(filters, "filter")] if filters else [])])
