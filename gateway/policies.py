"""What keys and tenants may do, and what tiers stand for: documents that are parsed when first needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import structlog

from gateway.mirror import Document
from wire.documents import (
    ROUTING_PREFIX,
    SCHEMA,
    KeyPolicy,
    TenantRouting,
    TenantState,
    decode_key,
    decode_routing,
    decode_tenant,
    key_document,
    routing_document,
    tenant_document,
)

log = structlog.get_logger(__name__)

_Read = KeyPolicy | TenantState | TenantRouting
_Held = bytes | _Read


class PolicyUnreadable(Exception):
    """A document that this gateway cannot understand: nobody is let in by guessing."""


class Policies:
    """The policy documents of one environment. Read and changed on the event loop only."""

    prefixes: tuple[str, ...] = ("key:", "tenant:", ROUTING_PREFIX)

    def __init__(self) -> None:
        self._documents: dict[str, _Held] = {}

    def prepare(self, documents: Sequence[Document]) -> Callable[[], None]:
        return partial(self._apply, documents)

    def key(self, key_hash: str) -> KeyPolicy | None:
        """A key's policy; None when there is none. Raises PolicyUnreadable."""
        name = key_document(key_hash)
        held = self._documents.get(name)
        if held is None or type(held) is KeyPolicy:
            return held
        return self._parsed(name, held, decode_key)  # type: ignore[arg-type, return-value]

    def tenant(self, tenant_id: str) -> TenantState | None:
        """A tenant's state; None when nothing is said of it. Raises PolicyUnreadable."""
        name = tenant_document(tenant_id)
        held = self._documents.get(name)
        if held is None or type(held) is TenantState:
            return held
        return self._parsed(name, held, decode_tenant)  # type: ignore[arg-type, return-value]

    def routing(self, tenant_id: str) -> TenantRouting | None:
        """What a tenant's tiers stand for; None when it selected nothing. Raises PolicyUnreadable."""
        name = routing_document(tenant_id)
        held = self._documents.get(name)
        if held is None or type(held) is TenantRouting:
            return held
        return self._parsed(name, held, decode_routing)  # type: ignore[arg-type, return-value]

    def __len__(self) -> int:
        return len(self._documents)

    def _apply(self, documents: Sequence[Document]) -> None:
        for name, body in documents:
            if body is None:
                self._documents.pop(name, None)
            else:
                self._documents[name] = body

    def _parsed(self, name: str, body: bytes, decode: Callable[[bytes], _Read]) -> _Held:
        try:
            document = decode(body)
        except msgspec.DecodeError as error:
            log.error("A policy document cannot be read", kind=name.partition(":")[0], error=str(error))
            raise PolicyUnreadable(f"The document cannot be read: {error}.") from error
        if document.schema != SCHEMA:
            raise PolicyUnreadable(f"The document has schema {document.schema}; this gateway reads {SCHEMA}.")
        self._documents[name] = document
        return document
