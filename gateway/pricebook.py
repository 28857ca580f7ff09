"""The prices in force: `pricing:blob`, taken over when `pricing:version` has moved and the blob has followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import structlog

from gateway.mirror import Document
from wire.documents import PRICING_BLOB, PRICING_VERSION, SCHEMA
from wire.prices import PriceBook, PricingBlob, PricingVersion

log = structlog.get_logger(__name__)

_decode_blob = msgspec.json.Decoder(PricingBlob).decode
_decode_version = msgspec.json.Decoder(PricingVersion).decode


class Prices:
    """Holds the current price book. A call takes it once and settles by that book: versions never mix.

    Documents are parsed in the polling thread, off the hot path; the book is swapped on the event loop.
    """

    prefixes: tuple[str, ...] = (PRICING_BLOB, PRICING_VERSION)

    def __init__(self) -> None:
        self.book: PriceBook | None = None
        self._wanted = 0
        self._taken = 0
        self._next: PriceBook | None = None  # parsed, and not yet announced by `pricing:version`

    def prepare(self, documents: Sequence[Document]) -> Callable[[], None] | None:
        for name, body in documents:
            if body is None:
                continue  # prices that were deleted by mistake stay in force
            try:
                if name == PRICING_BLOB:
                    self._take_blob(body)
                elif name == PRICING_VERSION:
                    self._wanted = _decode_version(body).version
            except (msgspec.DecodeError, KeyError, ValueError) as error:
                log.error("A price document cannot be read; the prices in force stay", document=name, error=str(error))
        book = self._next
        if book is None or self._wanted <= self._taken or book.version < self._wanted:
            return None
        self._next = None
        self._taken = book.version

        def swap() -> None:
            self.book = book
            log.info("Prices taken over", version=book.version, models=len(book))

        return swap

    @property
    def version(self) -> int:
        """The version in force; 0 when there are no prices yet."""
        return self.book.version if self.book is not None else 0

    def _take_blob(self, body: bytes) -> None:
        blob = _decode_blob(body)
        if blob.schema != SCHEMA:
            raise ValueError(f"schema {blob.schema}; this gateway reads {SCHEMA}")
        self._next = PriceBook(blob)
