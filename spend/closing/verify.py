"""Whether statements still are what they were, and what the events come to."""

from __future__ import annotations

from collections.abc import Iterator

from spend.closing.statement import Document, checksum, figures, names_in, rate_of, read, span_of, written
from spend.cost_centres.rules import Book
from spend.models import Statement
from spend.retention import usage_kept_from

_FIGURES = ("lines", "adjustments", "cost_centres", "totals", "unpriced")
_SHOWN_MOST = 5


def differences(statement: Statement) -> list[str]:
    """What is not as it should be of a statement, in sentences; empty when all is. Raises UnavailableError."""
    found = []
    body = bytes(statement.body)
    if checksum(body) != statement.sha256:
        found.append("its JSON is not the one that it was sealed with: the checksum differs")
    if checksum(bytes(statement.pdf)) != statement.pdf_sha256:
        found.append("its PDF is not the one that it was sealed with: the checksum differs")
    document = read(body)
    if written(document) != body:
        found.append("its JSON is not written the one way that it is written")
    if document["begin_ms"] < usage_kept_from():
        return found  # there is nothing any more to compare its figures with
    now = figures(
        statement.tenant_id,
        span_of(document),
        book=Book.of(document["rules"]),
        rate=rate_of(document),
        names=names_in(document),
    )
    if any(now[name] != document[name] for name in _FIGURES):
        found += list(_compared(document, now))[:_SHOWN_MOST]
    return found


def _compared(then: Document, now: Document) -> Iterator[str]:
    for part, name in (
        ("usage", "charge_usd"),
        ("usage", "requests"),
        ("adjustments", "charge_usd"),
        ("total", "cost_usd"),
    ):
        stated, counted = then["totals"][part][name], now["totals"][part][name]
        if stated != counted:
            yield f"{name} of {part} is {stated} in the statement and {counted} in the events"
    for part in ("lines", "adjustments", "cost_centres"):
        stated, counted = ([written({"": each}) for each in held[part]] for held in (then, now))
        for each in sorted(set(stated) ^ set(counted)):
            where = "only in the statement" if each in stated else "only in the events"
            yield f"{part}: {where}: {each.decode()[4:-1]}"
