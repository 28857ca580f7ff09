"""Cost centres as a dimension: rules turned into an expression over the columns of usage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from spend.cost_centres.rules import REST, TAG, UNALLOCATED, Book
from spend.models import CostCentreBook
from tenants.scope import tenant_scope

NAME = "cost_centre"
_COLUMNS = {
    "project": "project_id",
    "key": "key_id",
    "provider": "provider",
    "env": "env",
    "end_user": "end_user",
}
_MODEL_OF_EVENTS = "if(model_priced = '', model_asked, model_priced)"

_tried: ContextVar[tuple[str, Book] | None] = ContextVar("tried_cost_centres", default=None)


class Expression(NamedTuple):
    """A book as SQL over events, and over the rollup; None where that cannot decide it."""

    of_events: str
    of_days: str | None
    parameters: dict[str, Any]


def book_of(tenant_id: str) -> Book:
    """The cost centres that hold for a tenant, or that are being tried."""
    tried = _tried.get()
    if tried is not None and tried[0] == tenant_id:
        return tried[1]
    with tenant_scope(tenant_id):
        row = CostCentreBook.objects.filter(pk=tenant_id).first()
    return Book.of(row.book) if row is not None else Book()


@contextmanager
def as_if(tenant_id: str, book: Book) -> Iterator[None]:
    """Inside this block, questions about a tenant are answered as if these rules held."""
    token = _tried.set((tenant_id, book))
    try:
        yield
    finally:
        _tried.reset(token)


def expression(book: Book) -> Expression:
    """The cost centre of an event, and of a row of the rollup. Names and values travel as parameters."""
    parameters: dict[str, Any] = {"cc_rest": UNALLOCATED}
    of_events, of_days = [], []
    for number, rule in enumerate(book.rules):
        conditions = []
        for place, (name, values) in enumerate(rule.when.items()):
            conditions.append(_condition(f"cc_{number}_{place}", name, values, parameters))
        parameters[f"cc_{number}"] = rule.centre
        of_events.append(f"{' AND '.join(each[0] for each in conditions)}, %(cc_{number})s")
        of_days.append(f"{' AND '.join(each[1] for each in conditions)}, %(cc_{number})s")
    if not book.rules:
        return Expression("%(cc_rest)s", "%(cc_rest)s", parameters)
    of_rollup = f"multiIf({', '.join(of_days)}, %(cc_rest)s)" if all(rule.of_days for rule in book.rules) else None
    return Expression(f"multiIf({', '.join(of_events)}, %(cc_rest)s)", of_rollup, parameters)


def _condition(parameter: str, name: str, values: tuple[str, ...], parameters: dict[str, Any]) -> tuple[str, str]:
    """One field's condition over events and over the rollup, and what it refers to."""
    exact = tuple(value for value in values if not value.endswith(REST))
    begins = [value.removesuffix(REST) for value in values if value.endswith(REST)]
    if name.startswith(TAG):
        parameters[f"{parameter}_tag"] = name.removeprefix(TAG)
    column = f"tags[%({parameter}_tag)s]" if name.startswith(TAG) else _COLUMNS.get(name, "model")
    parts = []
    if exact:
        parameters[parameter] = exact
        parts.append(f"{{column}} IN %({parameter})s")
    for place, begin in enumerate(begins):
        parameters[f"{parameter}_{place}"] = begin
        parts.append(f"startsWith({{column}}, %({parameter}_{place})s)")
    text = f"({' OR '.join(parts)})"
    return text.replace("{column}", _MODEL_OF_EVENTS if name == "model" else column), text.replace("{column}", column)
