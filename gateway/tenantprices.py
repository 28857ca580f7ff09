"""What tenants are charged instead of list prices: the documents `pricing:tenant:…`, parsed when first needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import structlog

from gateway.mirror import Document
from wire.documents import SCHEMA, TENANT_PRICING_PREFIX, tenant_pricing_document
from wire.overrides import Overrides, decode_tenant_pricing

log = structlog.get_logger(__name__)

LARGE = 64 * 1024  # bytes; what takes longer to parse than a call may wait is parsed in the mirror's thread


class Terms(NamedTuple):
    """What decides a call's charge. `known` is False while the only overrides there are cannot be read: then what is
    charged is not known, and is not guessed from the list price.
    """

    overrides: Overrides | None = None  # None: the list price holds
    known: bool = True

    @property
    def version(self) -> int:
        """The overrides' version, as usage events name it; 0 for none."""
        return self.overrides.version if self.overrides is not None else 0


LIST_PRICES = Terms()
UNKNOWN = Terms(known=False)


class TenantPrices:
    """The overrides of all tenants of one environment. Read and changed on the event loop only.

    A document that cannot be read leaves the last good one in force, so a call is charged by rules that were published
    and that its event names.
    """

    prefixes: tuple[str, ...] = (TENANT_PRICING_PREFIX,)

    def __init__(self) -> None:
        self._unread: dict[str, bytes] = {}
        self._terms: dict[str, Terms] = {}

    def prepare(self, documents: Sequence[Document]) -> Callable[[], None]:
        parsed = {name: _parsed(name, body) for name, body in documents if body is not None and len(body) > LARGE}
        return partial(self._apply, documents, parsed)

    def of(self, tenant_id: str) -> Terms:
        """What decides a tenant's charges at this moment. A call takes it once: versions never mix."""
        name = tenant_pricing_document(tenant_id)
        body = self._unread.pop(name, None)
        if body is not None:
            self._take(name, _parsed(name, body))
        return self._terms.get(name, LIST_PRICES)

    def __len__(self) -> int:
        return len(self._terms.keys() | self._unread.keys())

    def _apply(self, documents: Sequence[Document], parsed: dict[str, Overrides | None]) -> None:
        for name, body in documents:
            self._unread.pop(name, None)
            if body is None:
                self._terms.pop(name, None)
            elif name in parsed:
                self._take(name, parsed[name])
            else:
                self._unread[name] = body

    def _take(self, name: str, overrides: Overrides | None) -> None:
        if overrides is not None:
            self._terms[name] = Terms(overrides)
        else:
            self._terms.setdefault(name, UNKNOWN)


def _parsed(name: str, body: bytes) -> Overrides | None:
    """A document's overrides; None, with a line in the log, when this gateway cannot read it."""
    try:
        document = decode_tenant_pricing(body)
        if document.schema != SCHEMA:
            raise ValueError(f"schema {document.schema}; this gateway reads {SCHEMA}")
    except ValueError as error:  # msgspec's errors are among them
        log.error("A tenant's overrides cannot be read; the last ones stay", document=name, error=str(error))
        return None
    return Overrides(document)
