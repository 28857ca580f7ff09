"""Prices by hand: the list, one model's in a form, many models' in a table that is looked at first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.step_up import step_up_required
from pricing import figures
from pricing.actions.by_hand import (
    add_hand_price,
    add_hand_prices,
    change_hand_price,
    check_hand_prices,
    end_hand_price,
)
from pricing.forms.by_hand import ChangePriceForm, EndPriceForm, NewPriceForm, TableForm
from pricing.models import HandPrice
from pricing.people import named
from pricing.queries import hand_price_by_id, hand_prices
from pricing.typed import COLUMNS, Entry, read_table, rows_of_file
from tenants.errors import ManyRefusedError, RefusedError
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import counted

PER_PAGE = 50
SHOWN_MOST = 100  # lines of what is wrong, or of what would be done


@needs(Permission.PRICES_VIEW)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The prices that persons gave, by model and day."""
    request = cast(TenantRequest, request)
    page = Paginator(hand_prices(), PER_PAGE).get_page(request.GET.get("page"))
    names = named({row.created_by for row in page}, request)
    today = datetime.now(UTC).date()
    context = {
        "rows": [
            {
                "price": row,
                "text": _in_words(row.prices),
                "by": names[row.created_by],
                "standing": _standing(row, today),
            }
            for row in page
        ],
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
        "next_url": f"?page={page.next_page_number()}" if page.has_next() else "",
        "first_url": "?page=1" if page.has_previous() else "",
    }
    return render(request, "pricing/hand_prices.html", context)


@needs(Permission.PRICES_CHANGE)
@require_http_methods(["GET", "POST"])
@never_cache
@step_up_required(bound=True)
def new(request: HttpRequest) -> HttpResponse:
    """Price a model that no source prices. The address may fill in provider, model and first day."""
    request = cast(TenantRequest, request)
    posted = request.method == "POST"
    initial = {name: request.GET.get(name, "")[:255] for name in ("provider", "model")}
    initial["starts"] = request.GET.get("starts", "")[:10] or datetime.now(UTC).date().isoformat()
    form = NewPriceForm(request.POST if posted else None, initial=initial)
    if posted and form.is_valid():
        given = form.cleaned_data
        try:
            row = add_hand_price(
                provider=given["provider"],
                model=given["model"],
                prices=given["prices"],
                starts=given["starts"],
                ends=given["ends"],
                clause=form.clause,
                source_url=given["source_url"],
                note=given["note"],
                by=request.actor,
            )
        except RefusedError as error:
            form.refuse(error)
        else:
            past = given["starts"] < datetime.now(UTC).date()
            more = " Calls that were made before have no price until they are re-rated: see Unpriced." if past else ""
            messages.success(request, f"{row.model.model_id} has a price. Gateways know it within seconds.{more}")
            return redirect("pricing:model", row.model.provider_id, row.model.model_id)
    return render(request, "pricing/hand_price_new.html", {"form": form}, status=422 if form.errors else 200)


@needs(Permission.PRICES_CHANGE)
@require_http_methods(["GET", "POST"])
@never_cache
@step_up_required(bound=True)
def change(request: HttpRequest, hand_price_id: int) -> HttpResponse:
    """Other prices from a day on."""
    request = cast(TenantRequest, request)
    price, posted = _hand_price(hand_price_id), request.method == "POST"
    form = ChangePriceForm(request.POST if posted else None, price=price, today=datetime.now(UTC).date())
    if posted and form.is_valid():
        given = form.cleaned_data
        try:
            change_hand_price(
                price=price,
                prices=given["prices"],
                starts=given["starts"],
                source_url=given["source_url"],
                note=given["note"],
                by=request.actor,
            )
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{price.model.model_id} has other prices from {given['starts']} on.")
            return redirect("pricing:model", price.model.provider_id, price.model.model_id)
    return _of_one(request, price, "pricing/hand_price_change.html", form)


@needs(Permission.PRICES_CHANGE)
@require_http_methods(["GET", "POST"])
@never_cache
@step_up_required(bound=True)
def end(request: HttpRequest, hand_price_id: int) -> HttpResponse:
    """End prices before a day, or withdraw them."""
    request = cast(TenantRequest, request)
    price, posted = _hand_price(hand_price_id), request.method == "POST"
    initial = {"ends": max(datetime.now(UTC).date(), price.starts).isoformat()}
    form = EndPriceForm(request.POST if posted else None, initial=initial)
    if posted and form.is_valid():
        try:
            end_hand_price(price=price, ends=form.cleaned_data["ends"], by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"The prices of {price.model.model_id} end before {form.cleaned_data['ends']}.")
            return redirect("pricing:hand_prices")
    return _of_one(request, price, "pricing/hand_price_end.html", form)


@needs(Permission.PRICES_CHANGE)
@require_http_methods(["GET", "POST"])
@never_cache
@step_up_required(bound=True)
def table(request: HttpRequest) -> HttpResponse:
    """Publish a table of prices, all lines or none: the very text that was checked, and that the passkey confirms."""
    request = cast(TenantRequest, request)
    if request.method == "GET":
        return _table(request, TableForm(), {})
    form = TableForm(request.POST)
    found = _read(form)
    if "entries" in found:
        try:
            rows = add_hand_prices(entries=found["entries"], faults=found["unread"], by=request.actor)
        except ManyRefusedError as error:
            found = _faults(error)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{counted(len(rows), 'price')} added. Gateways know them within seconds.")
            return redirect("pricing:hand_prices")
    return _table(request, form, found)


@needs(Permission.PRICES_CHANGE)
@require_POST
@never_cache
def check_table(request: HttpRequest) -> HttpResponse:
    """Say what a table would do, line by line. Nothing is changed."""
    request = cast(TenantRequest, request)
    form = TableForm(request.POST, request.FILES)
    found = _read(form)
    if "entries" in found:
        try:
            check_hand_prices(entries=found["entries"], faults=found["unread"], by=request.actor)
        except ManyRefusedError as error:
            found = _faults(error)
        except RefusedError as error:
            form.refuse(error)
        else:
            entries: list[Entry] = found["entries"]
            found = {"plan": entries, "shown": [_planned(each) for each in entries[:SHOWN_MOST]]}
            found["more"] = max(0, len(entries) - SHOWN_MOST)
    return _table(request, form, found)


def _read(form: TableForm) -> dict[str, Any]:
    """The lines of the table, with what is wrong with those that cannot be read."""
    if not form.is_valid():
        return {}
    try:
        entries, unread = read_table(rows_of_file(form.cleaned_data["content"]))
    except ManyRefusedError as error:
        return _faults(error)
    return {"entries": entries, "unread": unread}


def _faults(error: ManyRefusedError) -> dict[str, Any]:
    return {"faults": error.faults[:SHOWN_MOST], "more_faults": max(0, len(error.faults) - SHOWN_MOST)}


def _table(request: TenantRequest, form: TableForm, found: dict[str, Any]) -> HttpResponse:
    content = form.cleaned_data.get("content", b"") if form.is_bound else b""
    if content:  # a file's lines go back into the page, so that exactly they are confirmed and sent
        form = form if form.errors else TableForm(initial={"text": content.decode("utf-8-sig", "replace")})
    context = found | {"form": form, "columns": COLUMNS}
    return render(request, "pricing/hand_table.html", context, status=422 if form.errors or "faults" in found else 200)


def _of_one(request: TenantRequest, price: HandPrice, template: str, form: Any) -> HttpResponse:
    context = {"price": price, "form": form, "text": _in_words(price.prices)}
    return render(request, template, context, status=422 if form.errors else 200)


def _hand_price(pk: int) -> HandPrice:
    row = hand_price_by_id(pk)
    if row is None:
        raise Http404("There is no such price by hand.")
    return row


def _in_words(prices: dict[str, int]) -> str:
    shown = figures.rows(prices)
    return ", ".join(f"{row.label} {row.amounts[0].quoted} {row.per}" for row in shown)


def _standing(row: HandPrice, today: Any) -> tuple[str, str]:
    if row.ends is not None and row.ends <= today:
        return "", "Over"
    return ("accent", "To come") if row.starts > today else ("ok", "Holds")


def _planned(entry: Entry) -> dict[str, Any]:
    return {"entry": entry, "text": _in_words(entry.prices)}
