"""Spend of all tenants side by side, for those who look after the installation."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from spend.across.chart import MOST, largest_chart
from spend.across.forms import TenantsForm
from spend.across.rows import SORTS, SideBySide, TenantRow, chosen_rows, side_by_side
from spend.clickhouse.errors import TooMuchError, UnavailableError
from spend.comparison import compare_amounts
from spend.periods import PeriodError
from spend.queries.freshness import complete_to
from spend.queries.sums_of_tenants import TenantSum
from spend.views.live import OUT_OF_REACH, query_with, today_of
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import percent, usd

PER_PAGE = 50
_COLUMNS = ("charge", "cost", "margin", "change", "requests", "tokens", "unpriced", "errors")


@needs(Permission.SPEND_VIEW_ALL)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The table, its totals, and the chart of the largest."""
    request = cast(TenantRequest, request)
    form = TenantsForm(request.GET, today=today_of(request.tenant), envs=settings.SPENDOPS.environments)
    form.is_valid()
    period = form.chosen
    context: dict[str, Any] = {"form": form, "period": period}
    try:
        data_to = complete_to()  # before the sums: what is counted in between is then in them and not claimed
        found = side_by_side(
            period.choice,
            now=timezone.now(),
            first=form.cleaned_data.get("first"),
            last=form.cleaned_data.get("last"),
            envs=form.envs,
        )
    except PeriodError as error:
        form.add_error("first", str(error))
        return render(request, "spend/across.html", context, status=422)
    except TooMuchError:
        return render(request, "spend/across.html", context | {"too_much": True}, status=OUT_OF_REACH)
    except UnavailableError:
        return render(request, "spend/across.html", context | {"unavailable": True}, status=OUT_OF_REACH)
    return render(request, "spend/across.html", context | {"data_to": data_to} | _shown(request, form, found))


def _shown(request: TenantRequest, form: TenantsForm, found: SideBySide) -> dict[str, Any]:
    sort = form.value_of("sort") or "charge"
    search = form.value_of("search")
    rows = chosen_rows(found, search=search, sort=sort, all_of_them=form.value_of("show") == "all")
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    largest = sorted((row for row in rows if row.now.charge > 0), key=lambda row: (-row.now.charge, row.id))[:MOST]
    query = query_with(request, search="", show="", sort="", page="")
    enter = f"{reverse('spend:overview')}?{query}" if query else reverse("spend:overview")
    compared = form.chosen.compared()
    return {
        "found": found,
        "comparison": compare_amounts(found.closed.charge, found.before.charge, usd, compared) if compared else None,
        "margin_share": _share(found.total.margin, found.total),
        "rows": [_row(row) for row in shown],
        "of_rows": TenantSum.of(row.now for row in rows),
        "number": len(rows),
        "largest": largest,
        "chart": largest_chart(largest) if largest else None,
        "enter": enter,
        "columns": [_column(request, name, sort) for name in ("name", *_COLUMNS)],
        "shown": f"{shown.start_index():,} to {shown.end_index():,} of {shown.paginator.count:,}",
        "next_url": f"?{query_with(request, page=str(shown.next_page_number()))}" if shown.has_next() else "",
        "first_url": f"?{query_with(request, page='')}" if shown.has_previous() else "",
    }


def _row(row: TenantRow) -> dict[str, Any]:
    change = row.change
    direction = "" if not change else "up" if change > 0 else "down"
    share = row.change_share
    new = change and share is None
    return {
        "row": row,
        "margin_share": _share(row.now.margin, row.now),
        "direction": direction,
        "change": "new" if new else percent(abs(share)) if share else "unchanged" if share is not None else "",
        "share_width": f"{(row.share or 0) * 100:.1f}",
    }


def _share(margin: Any, of: TenantSum) -> Any:
    return margin / of.charge if of.charge else None


def _column(request: TenantRequest, name: str, sort: str) -> dict[str, Any]:
    """A head of the table, by which the rows can be ordered."""
    return {
        "name": name,
        "label": "Tenant" if name == "name" else SORTS[name][0],
        "url": f"?{query_with(request, sort=name, page='')}",
        "current": name == sort,
        "order": "ascending" if name == "name" else "descending",
    }
