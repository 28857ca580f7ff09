"""A statement in the words and figures that people read: what its page, its HTML file and its PDF have in common."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from spend.closing.statement import LATE, Document
from spend.names import MODEL_UNKNOWN
from wire.display import count, counted, day, days, moment, month, usd_exact
from wire.display import money as money_of
from wire.money import MICRO


class Line(NamedTuple):
    """A line of a statement's tables."""

    project: str
    cost_centre: str
    model: str
    requests: str
    tokens: str
    cost: str
    charge: str
    converted: str  # in the tenant's currency, "" without one
    month: str = ""
    why: str = ""


class Paying(NamedTuple):
    """A cost centre's line."""

    name: str
    own: str
    shared: str
    charge: str
    converted: str


def shown(document: Document) -> dict[str, Any]:
    """Everything that is shown of a statement."""
    code = document["currency"]["code"] if "rate_day" in document["currency"] else ""
    zone, totals = document["time_zone"], document["totals"]
    first, last = date.fromisoformat(document["first_day"]), date.fromisoformat(document["last_day"])
    total = totals["total"]
    unpriced = total["unpriced_requests"]
    return {
        "document": document,
        "title": month(first),
        "tenant": document["tenant"],
        "days": days(first, last),
        "zone": zone,
        "final": document["final"],
        "number": document.get("number", ""),
        "complete_until": moment(_at(document["complete_until"]), zone, year=True),
        "sealed_at": moment(_at(document["sealed_at"]), zone, year=True) if document["final"] else "",
        "currency": code,
        "converts": bool(code) and code != "USD",
        "rate": _rate(document["currency"]) if code and code != "USD" else "",
        "lines": [_line(each, code) for each in document["lines"]],
        "adjustments": [_line(each, code) for each in document["adjustments"]],
        "cost_centres": [
            Paying(
                each["name"],
                _usd(each["own_usd"]),
                ", ".join(f"{_usd(part['charge_usd'])} of {part['of']}" for part in each["shared"]),
                _usd(each["charge_usd"]),
                _money(each.get("charge"), code),
            )
            for each in document["cost_centres"]
        ],
        "usage": _total(totals["usage"], code),
        "corrections": _total(totals["adjustments"], code),
        "total": _total(total, code),
        "unpriced": [_line(each, code) for each in document["unpriced"]],
        "unpriced_note": (
            f"{counted(unpriced, 'request')} with {counted(total['unpriced_tokens'], 'token')} had no price and count "
            "as nothing here."
            if unpriced
            else "Every request has a price."
        ),
    }


def _line(each: Document, code: str) -> Line:
    of_month = date.fromisoformat(f"{each['month']}-01") if "month" in each else None
    return Line(
        each["project_name"] or "–",
        each["cost_centre"],
        each["model"] or MODEL_UNKNOWN,
        count(each["requests"]),
        count(each["input_tokens"] + each["output_tokens"]),
        _usd(each["cost_usd"]),
        _usd(each["charge_usd"]),
        _money(each.get("charge"), code),
        month(of_month) if of_month else "",
        ("Came late" if each["why"] == LATE else "Priced anew") if of_month else "",
    )


def _total(total: Document, code: str) -> dict[str, str]:
    return {
        "requests": count(total["requests"]),
        "tokens": count(total["input_tokens"] + total["output_tokens"]),
        "cost": _usd(total["cost_usd"]),
        "charge": _usd(total["charge_usd"]),
        "converted": _money(total.get("charge"), code),
    }


def _rate(currency: Document) -> str:
    per = Decimal(currency["per_usd"])
    published = day(date.fromisoformat(currency["rate_day"]))
    return f"1 USD = {per.normalize():f} {currency['code']}, {currency['source']}, {published}"


def _usd(text: str) -> str:
    return usd_exact(Decimal(text))


def _money(text: str | None, code: str) -> str:
    return money_of(int(Decimal(text) * MICRO), code) if text is not None and code != "USD" else ""


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
