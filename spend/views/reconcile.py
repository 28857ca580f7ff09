"""Invoices beside our sums: the history with the form, and one comparison with its chart, table and classes."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from access.models import User
from spend.clickhouse.errors import TooMuchError, UnavailableError
from spend.exports.formats.comma import guarded
from spend.models import InvoiceComparison
from spend.reconciling.actions import compare_invoice
from spend.reconciling.charts import both_sides, by_day
from spend.reconciling.classify import LABELS, Why
from spend.reconciling.forms import InvoiceForm
from spend.reconciling.invoices import KINDS
from spend.reconciling.queries import Compared, compared_rows, comparison_by_id, comparisons, usd_of
from spend.views.live import OUT_OF_REACH
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import days, usd

PER_PAGE = 50
ROWS_SHOWN = 200
ERRORS_SHOWN = 20
_OF_PRICES = frozenset({Why.MISPRICED, Why.UNEXPLAINED})  # where both unit prices are worth a look
MEANS = {
    Why.BYPASSED: "the provider counted usage that did not pass us",
    Why.MISPRICED: "the same usage at another price",
    Why.LATE: "newest days, or calls at midnight that the other side counts to the next day",
    Why.CREDIT: "what the provider gives back",
    Why.ROUNDING: "no more than the tolerance",
    Why.UNEXPLAINED: "nothing of the above",
}


@needs(Permission.SPEND_IMPORT)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """All comparisons of the tenant, the newest first."""
    found = Paginator(comparisons(), PER_PAGE).get_page(request.GET.get("page"))
    people = dict(User.objects.filter(pk__in={row.created_by for row in found}).values_list("pk", "name"))
    context = {
        "rows": [_shown(row, people) for row in found],
        "shown": f"{found.start_index():,} to {found.end_index():,} of {found.paginator.count:,}",
        "next_url": f"?page={found.next_page_number()}" if found.has_next() else "",
        "first_url": "?" if found.has_previous() else "",
    }
    return render(request, "spend/reconcile.html", context)


@needs(Permission.SPEND_IMPORT)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form; sent, the comparison is made and kept."""
    request = cast(TenantRequest, request)
    form = InvoiceForm(request.POST, request.FILES) if request.method == "POST" else InvoiceForm()
    context: dict[str, Any] = {"form": form}
    if request.method != "POST":
        return render(request, "spend/reconcile_new.html", context)
    if form.is_valid():
        given = form.cleaned_data
        usage = given["usage_file"] if given["usage_kind"] else None
        try:
            made = compare_invoice(
                tenant=request.tenant,
                kind=given["kind"],
                file_name=given["file"].name,
                pieces=given["file"].chunks(),
                provider=given["provider"],
                tolerance=given["tolerance"],
                usage_kind=given["usage_kind"],
                usage_name=usage.name if usage else "",
                usage_pieces=usage.chunks() if usage else (),
                by=request.actor,
            )
        except RefusedError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        except TooMuchError as error:
            form.add_error(None, f"{error} Compare fewer days.")
        except UnavailableError:
            form.add_error(None, "Spend data is out of reach. Nothing was compared: try again in a moment.")
            return render(request, "spend/reconcile_new.html", context, status=OUT_OF_REACH)
        else:
            return redirect("spend:reconciled", made.pk)
    return render(request, "spend/reconcile_new.html", context, status=422)


@needs(Permission.SPEND_IMPORT)
@require_safe
def one(request: HttpRequest, comparison_id: str) -> HttpResponse:
    """One comparison; `why` and `model` narrow the table of days."""
    made = _comparison(comparison_id)
    every = compared_rows(made)
    why, model = request.GET.get("why", ""), request.GET.get("model", "")
    rows = [row for row in every if _wanted(row, why, model)]
    sides = by_day(every, made.first, made.last)
    totals = {name: usd_of(amount) for name, amount in made.totals.items()}
    people = dict(User.objects.filter(pk=made.created_by).values_list("pk", "name"))
    context = _shown(made, people) | {
        "totals": totals,
        "theirs": totals["theirs"],
        "ours": totals["ours"],
        "signed": signed(totals["difference"]),
        "difference": totals["difference"],
        "classes": [
            {
                "label": LABELS[each],
                "means": MEANS[each],
                "amount": signed(totals[each.value]),
                "exact": totals[each.value],
                "rows": sum(each in row.parts for row in every),
                "url": f"?{urlencode({'why': each.value})}",
                "current": why == each.value,
            }
            for each in Why
        ],
        "table": [_row(row) for row in rows[:ROWS_SHOWN]],
        "more": max(0, len(rows) - ROWS_SHOWN),
        "narrowed": bool(why or model),
        "model": model,
        "chart": both_sides(sides, made.provider),
        "sides": sides,
        "errors": made.errors[:ERRORS_SHOWN],
    }
    return render(request, "spend/reconciled.html", context)


@needs(Permission.SPEND_IMPORT)
@require_safe
def rows_file(request: HttpRequest, comparison_id: str) -> HttpResponse:
    """All days and models with their classes, as CSV, exactly."""
    made = _comparison(comparison_id)
    text = io.StringIO()
    writer = csv.writer(text)
    names = ["day_utc", "model", "invoice_usd", "counted_usd", "difference_usd", *(f"{why.value}_usd" for why in Why)]
    writer.writerow([*names, "invoice_tokens", "counted_tokens", "counted_requests", "price_version"])
    for row in compared_rows(made):
        amounts = [row.theirs, row.ours, row.difference, *(row.parts.get(why, Decimal(0)) for why in Why)]
        counts = ["" if row.their_tokens is None else row.their_tokens, row.our_tokens, row.our_requests]
        writer.writerow(
            [row.day, guarded(row.model), *(f"{amount:.12f}" for amount in amounts), *counts, row.price_version]
        )
    headers = {"Content-Disposition": f'attachment; filename="invoice-{made.pk}.csv"'}
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def signed(amount: Decimal) -> str:
    """A difference as people read it, with its sign."""
    return f"{'+' if amount > 0 else '−' if amount < 0 else ''}{usd(abs(amount))}"


def _wanted(row: Compared, why: str, model: str) -> bool:
    if model and row.model != model:
        return False
    return any(each.value == why for each in row.parts) if why else bool(row.difference) or bool(model)


def _row(row: Compared) -> dict[str, Any]:
    """A line of the table, with the ways to more of its model, and to the requests of its day."""
    query = {"period": "custom", "first": row.day.isoformat(), "last": row.day.isoformat(), "model": row.model}
    return {
        "row": row,
        "difference": signed(row.difference),
        "parts": [{"label": LABELS[why], "amount": signed(amount)} for why, amount in row.parts.items()],
        "prices": row.their_price is not None and row.our_price is not None and not _OF_PRICES.isdisjoint(row.parts),
        "model_url": f"?{urlencode({'model': row.model})}" if row.model else "",
        "requests_url": f"{reverse('spend:requests')}?{urlencode(query)}" if row.our_requests and row.model else "",
    }


def _comparison(comparison_id: str) -> InvoiceComparison:
    made = comparison_by_id(comparison_id)
    if made is None:
        raise Http404("There is nothing at this address.")
    return made


def _shown(made: InvoiceComparison, people: dict[str, str]) -> dict[str, Any]:
    difference = usd_of(made.totals["difference"])
    return {
        "made": made,
        "what": KINDS[made.kind].label if made.kind in KINDS else made.kind,
        "days": f"{days(made.first, made.last)} UTC",
        "by": people.get(made.created_by, made.created_by),
        "theirs": usd_of(made.totals["theirs"]),
        "ours": usd_of(made.totals["ours"]),
        "signed": signed(difference),
        "unexplained": usd_of(made.totals[Why.UNEXPLAINED.value]),
        "tolerance": Decimal(made.tolerance).scaleb(-12),
    }
