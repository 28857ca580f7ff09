"""How an address of the Explore page is described as an operation's parameters: the API takes the same."""

from __future__ import annotations

from typing import Any

from spend.exploring.filters import NONE, NOT, VALUE_LONGEST
from spend.periods import Choice
from spend.queries.dimensions import LABELS

_TEXTS = {"type": "array", "items": {"type": "string", "maxLength": VALUE_LONGEST}, "maxItems": 100}
_DAY = {"type": "string", "format": "date", "examples": ["2026-11-21"]}


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"in": "query", "name": name, "required": False, "schema": schema, "description": description}


PERIOD = [
    _query(
        "period",
        {"type": "string", "enum": [each.value for each in Choice], "default": Choice.MONTH_TO_DATE.value},
        "Which days; `custom` needs `first` and `last`.",
    ),
    _query("first", _DAY, "The first day, when the period is `custom`."),
    _query("last", _DAY, "The last day, included, when the period is `custom`. At most 400 days; none after today."),
    _query(
        "zone",
        {"type": "string", "maxLength": 64, "examples": ["Asia/Kolkata"]},
        "An IANA time zone whose days are meant; the tenant's own when left out.",
    ),
]
BY = _query(
    "by",
    {"type": "array", "items": {"type": "string", "maxLength": 80}, "maxItems": 6, "examples": [["model", "tag:team"]]},
    f"What to group by, in this order: {', '.join(LABELS)}, or `tag:<name>`.",
)
FILTERS = [
    *(_query(name, _TEXTS, f"{label}: any of these values.") for name, label in LABELS.items()),
    *(_query(f"{NOT}{name}", _TEXTS, f"{label}: none of these values.") for name, label in LABELS.items()),
    _query(
        NONE,
        {"type": "array", "items": {"type": "string"}, "examples": [["end_user"]]},
        "Dimensions that calls have no value of. `not-none`: that they have one. Tags are filters, too: `tag:<name>`"
        " and `not-tag:<name>`.",
    ),
]
