"""Lists come in pages: `items`, and `next`, an opaque cursor that is given back to read on from there.

A page begins after the last row of the one before it, so rows that come or go meanwhile shift nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from ninja import Field, Schema

from tenants.frame.problems import ApiProblem

MOST = 200
USUAL = 50

Item = TypeVar("Item")


class Paging(Schema):
    """Which page is asked for."""

    limit: int = Field(USUAL, ge=1, le=MOST, description="How many items at most.", examples=[USUAL])
    cursor: str = Field(
        "", max_length=500, description="The `next` of the page before; without it the list begins.", examples=[""]
    )


class Page(Schema, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next: str | None = Field(description="The cursor of the next page; null on the last one.", examples=[None])


def page_of(
    rows: QuerySet[Any], paging: Paging, show: Callable[[Any], Any], *, newest_by: tuple[str, ...], salt: str
) -> dict[str, Any]:
    """One page of rows, the greatest `newest_by` first; these fields must name a row. `salt` is the list's name."""
    if paging.cursor:
        rows = rows.filter(_after(rows.model, _read(paging.cursor, newest_by, rows.model, salt), newest_by))
    found = list(rows.order_by(*(f"-{name}" for name in newest_by))[: paging.limit + 1])
    shown, more = found[: paging.limit], len(found) > paging.limit
    return {"items": [show(row) for row in shown], "next": _write(shown[-1], newest_by, salt) if more else None}


def _write(row: Any, fields: tuple[str, ...], salt: str) -> str:
    values = [row._meta.get_field(name).value_to_string(row) for name in fields]
    return signing.dumps(values, salt=f"cursor {salt}")


def _read(cursor: str, fields: tuple[str, ...], model: type[Model], salt: str) -> list[Any]:
    try:
        values = signing.loads(cursor, salt=f"cursor {salt}")
        return [model._meta.get_field(name).to_python(value) for name, value in zip(fields, values, strict=True)]  # type: ignore[union-attr]
    except (signing.BadSignature, ValidationError, ValueError, TypeError) as error:
        raise ApiProblem(
            422, "invalid_cursor", "This cursor is not of this list: leave it out, or send `next` as it came."
        ) from error


def _after(model: type[Model], values: list[Any], fields: tuple[str, ...]) -> Q:
    """Rows behind these values: smaller in the first field that differs."""
    found = Q()
    for position, name in enumerate(fields):
        equal = dict(zip(fields[:position], values[:position], strict=True))
        found |= Q(**equal, **{f"{name}__lt": values[position]})
    return found
