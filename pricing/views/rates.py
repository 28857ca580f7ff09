"""Exchange rates: the newest of each currency, and one currency's over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

from babel.numbers import get_currency_name
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pricing.charts import rate_chart
from pricing.forms.rates import RatesForm
from pricing.rates.base import EURO, Rate
from pricing.rates.queries import history, last_day, last_synced, newest_rates
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import LOCALE

LATE = timedelta(days=5)  # rates are published on working days: over a long weekend none is for four


@needs(Permission.PRICES_VIEW)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """What a US dollar is in other currencies, on which day and by whom, and how that moved."""
    request = cast(TenantRequest, request)
    rates = newest_rates()
    names = {rate.currency: str(get_currency_name(rate.currency, locale=LOCALE)) for rate in rates}
    own = request.tenant.currency
    usual = own if own in names else EURO
    form = RatesForm(request.GET, currencies=[(code, f"{code}, {name}") for code, name in names.items()], usual=usual)
    today, newest = datetime.now(UTC).date(), last_day()
    drawn = history(form.currency_chosen, since=newest - timedelta(days=form.days)) if newest else []
    context = {
        "form": form,
        "rows": [{"rate": rate, "name": names[rate.currency], "per_usd": _shown(rate)} for rate in rates],
        "own": own,
        "own_rate": next((rate for rate in rates if rate.currency == own), None),
        "newest": newest,
        "late": (today - newest).days if newest and today - newest > LATE else 0,
        "synced": last_synced(),
        "source": rates[0].source if rates else "",
        "chart": rate_chart(drawn) if len(drawn) > 1 else None,
        "currency": form.currency_chosen,
        "drawn": [{"day": rate.day, "per_usd": _shown(rate)} for rate in reversed(drawn)],
    }
    return render(request, "pricing/rates.html", context)


def _shown(rate: Rate) -> str:
    """Units of the currency for one US dollar, with five places and the thousands apart."""
    return f"{rate.per_usd:,.5f}"
