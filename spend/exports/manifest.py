"""What an export says of itself: whose it is, of which days, in which currency, how complete, what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pricing.rates.base import RatesError
from pricing.rates.queries import USD, rate_on
from spend.exports.columns import Column
from spend.exports.completeness import Completeness
from spend.exports.formats.comma import moment_text
from spend.exports.wanted import FOCUS, Format, Wanted
from spend.models import Export
from spend.zones import calendar, moment_of
from tenants.models import Tenant
from wire.money import decimal_from_micro, pico_from_usd_string

_CSV_NOTE = (
    "A text that begins with =, +, -, @, a tab, a line break or an apostrophe has an apostrophe in front, so that no "
    "spreadsheet runs it: take one leading apostrophe away to read it back."
)
_XLSX_NOTE = (
    "A cell's number holds about 15 digits. Each amount therefore stands a second time as exact text, in the column "
    "after it: sums to the last place are those of the exact columns."
)
_NOTES = {Format.CSV: [_CSV_NOTE], Format.XLSX: [_XLSX_NOTE], Format.PARQUET: []}
_CHARGES = ("charge_usd", "BilledCost")


def about(
    job: Export,
    tenant: Tenant,
    wanted: Wanted,
    *,
    columns: Sequence[Column],
    complete: Completeness,
    rows: int,
    sums: Mapping[str, Decimal],
) -> dict[str, Any]:
    """The manifest without what is known only of the finished file. Values are JSON."""
    of = wanted.slice
    begin, end = calendar(of.zone).bounds(of.first, of.last)
    said: dict[str, Any] = {
        "export": job.pk,
        "holds": wanted.title,
        "tenant": tenant.id,
        "tenant_name": tenant.name,
        "first_day": of.first.isoformat(),
        "last_day": of.last.isoformat(),
        "time_zone": of.zone,
        "begins_at": moment_text(moment_of(begin)),
        "ends_before": moment_text(moment_of(end)),
        "filters": wanted.filters,
        "query": wanted.query,
        "complete_until": moment_text(complete.until),
        "partial": bool(complete.reasons),
        "why_partial": list(complete.reasons),
        "currency": USD,
        "rows": rows,
        "sums_usd": {name: f"{amount:.12f}" for name, amount in sums.items()},
    }
    charge = next((sums[name] for name in _CHARGES if name in sums), None)
    if tenant.currency != USD and charge is not None:
        said["tenant_currency"] = _converted(tenant.currency, wanted, charge)
    return said | {
        "made_at": moment_text(job.created_at),
        "columns": [{"name": each.name, "holds": each.type.value, "note": each.note} for each in columns],
        "notes": _notes(wanted, Format(job.format)),
    }


def _notes(wanted: Wanted, written: Export.Format) -> list[str]:
    if wanted.kind in FOCUS:
        return [
            *_NOTES[written],
            "Amounts are in USD. Charge periods are the days of the time zone, as moments in UTC.",
        ]
    return list(_NOTES[written])


def _converted(currency: str, wanted: Wanted, charge: Decimal) -> dict[str, str]:
    """The sum in the tenant's currency, by the reference rate of the period's last day."""
    try:
        rate = rate_on(currency, wanted.slice.last)
    except RatesError as error:
        return {"currency": currency, "error": str(error)}
    micro = rate.from_pico(pico_from_usd_string(f"{charge:.12f}"))
    return {
        "currency": currency,
        "charge": str(decimal_from_micro(micro)),
        "rate": f"{rate.per_usd} {currency} for 1 USD",
        "rate_of": rate.day.isoformat(),
        "source": rate.source,
    }
