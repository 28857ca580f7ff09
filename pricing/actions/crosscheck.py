"""Cross-checks are kept, so that the last one can be looked at."""

from __future__ import annotations

import hashlib

import msgspec
from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from pricing.actions.publish import as_json
from pricing.crosscheck import CrossCheckError, Result, compare, read_table
from pricing.models import CrossCheck
from pricing.render import NoPricesError, pricing_blob
from wire.prices import PriceBook

KEPT = 10
BYTES_MOST = 50 * 2**20


def cross_check(*, content: bytes, table: str, by: Actor) -> tuple[CrossCheck, Result]:
    """Compare the current price book with another public table, a file's content, and keep what came of it.

    Raises CrossCheckError when the file is no such table, or there are no prices yet.
    """
    if len(content) > BYTES_MOST:
        raise CrossCheckError(f"The file is larger than {BYTES_MOST // 2**20} MiB.")
    theirs = read_table(content)
    try:
        book = PriceBook(pricing_blob(env="", rev=0))
    except NoPricesError as error:
        raise CrossCheckError(str(error)) from error
    now = timezone.now()
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)  # the hour of asking decides no figure
    result = compare(theirs, book, noon)
    digest = hashlib.sha256(content).hexdigest()
    with transaction.atomic():
        row = CrossCheck.objects.create(
            table=table[:200], digest=digest, at=now, version=book.version, result=as_json(result)
        )
        kept = CrossCheck.objects.order_by("-at", "-pk").values_list("pk", flat=True)[:KEPT]
        CrossCheck.objects.exclude(pk__in=list(kept)).delete()
        record(
            "prices.cross_checked",
            by=by,
            tenant="",
            target_kind="price_book",
            target_id=str(book.version),
            after={
                "table": row.table,
                "digest": digest,
                "compared": result.compared,
                "disagreeing": result.disagreeing,
                "unmatched": result.unmatched,
            },
        )
    return row, result


def result_of(row: CrossCheck) -> Result:
    """What came of a kept cross-check."""
    return msgspec.convert(row.result, Result)
