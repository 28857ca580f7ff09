"""What usage can be grouped and narrowed by: each dimension, and the column or expression behind it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from spend.cost_centres import dimension as cost_centres
from spend.cost_centres.rules import Book
from spend.queries.rollup import GROUPS

TAG = "tag:"  # `tag:team` is the value of the tag "team"; "" where a call has none
TAG_NAME_MOST = 64
_TAG_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}")

# those that only single events know; "model" is the model priced, or the one asked when there was no price
_OF_EVENTS = {
    "model": "if(model_priced = '', model_asked, model_priced)",
    "model_asked": "model_asked",
    "end_user": "end_user",
    "route": "route",
    "service_tier": "service_tier",
    "session": "session",
    "credential": "credential",
    "usage_source": "usage_source",
    "source": "source",
    "kind": "kind",
    "http_status": "toString(http_status)",
    "streamed": "if(streamed, 'yes', 'no')",
    "cached": "if(cached, 'yes', 'no')",
}

LABELS = {
    "model": "Model",
    "project": "Project",
    "key": "API key",
    "provider": "Provider",
    "env": "Environment",
    "status": "Status",
    "tier": "Tier",
    "model_asked": "Model asked",
    "end_user": "End user",
    "route": "Route",
    "service_tier": "Service tier",
    "session": "Session",
    "credential": "Credential",
    "usage_source": "Counted by",
    "source": "Source",
    "kind": "Kind",
    "http_status": "HTTP status",
    "streamed": "Streamed",
    "cached": "From the cache",
    cost_centres.NAME: "Cost centre",
}


class Dimension(NamedTuple):
    """A dimension as SQL. `of_days` is None when the rollup does not know it."""

    name: str
    of_events: str
    of_days: str | None
    parameters: dict[str, Any] = {}


def dimension(name: str, tenant_id: str = "") -> Dimension:
    """The dimension of a name. Cost centres are a tenant's own, and need one where the SQL matters.

    Raises ValueError for one that does not exist; the message lists those that do.
    """
    if name in GROUPS:
        return Dimension(name, _OF_EVENTS.get(name, GROUPS[name]), GROUPS[name])
    if name in _OF_EVENTS:
        return Dimension(name, _OF_EVENTS[name], None)
    if name == cost_centres.NAME:
        found = cost_centres.expression(cost_centres.book_of(tenant_id) if tenant_id else Book())
        return Dimension(name, found.of_events, found.of_days, found.parameters)
    if name.startswith(TAG) and _TAG_NAME.fullmatch(tag := name.removeprefix(TAG)):
        parameter = f"tag_{tag.encode().hex()}"  # the same tag has the same parameter wherever it is named
        return Dimension(name, f"tags[%({parameter})s]", None, {parameter: tag})
    raise ValueError(f"Spend cannot be grouped by {name[:80]!r}: choose one of {', '.join(LABELS)}, or tag:<name>.")


def in_words(name: str) -> str:
    """What a dimension is called within a sentence: "model", but "API key" and a tag as it is written."""
    label = label_of(name)
    return label if label[:2].isupper() else f"{label[:1].lower()}{label[1:]}"


def label_of(name: str) -> str:
    """What a dimension is called."""
    return LABELS.get(name) or f"Tag “{name.removeprefix(TAG)}”"
