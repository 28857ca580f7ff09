"""The headers that every answer carries, and those of the caller and the provider that are passed on."""

from __future__ import annotations

from collections.abc import Iterable

from multidict import CIMultiDict, CIMultiDictProxy

Headers = list[tuple[bytes, bytes]]

_HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip

# Not the provider's business: credentials of every kind, who the caller is, and what we set ourselves. Organisation and
# project would choose among what belongs to the owner of our credential.
_NOT_SENT = _HOP_BY_HOP | {
    "host", "content-length", "content-type", "content-encoding", "accept-encoding", "expect", "cookie", "origin",
    "referer", "authorization", "x-api-key", "api-key", "x-goog-api-key", "x-request-id", "forwarded", "via",
    "x-real-ip", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "cf-connecting-ip",
    "openai-organization", "openai-project", "x-sandbox-fault",
}  # fmt: skip
_NOT_SENT_BYTES = frozenset(name.encode() for name in _NOT_SENT)

_NOT_RETURNED = _HOP_BY_HOP | {
    "content-length", "content-encoding", "date", "server", "set-cookie", "alt-svc", "strict-transport-security",
    "x-request-id", "openai-organization", "openai-project", "anthropic-organization-id",
}  # fmt: skip

_OURS = "x-spendops-"
FAULT = b"x-sandbox-fault"


def sent_headers(given: Headers, own: Iterable[tuple[str, str]], *, request_id: str, sandbox: bool) -> CIMultiDict[str]:
    """The headers of the request to a provider: the caller's that concern it, and ours."""
    named = _named_by_connection(given)
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in given:
        kept = sandbox and name == FAULT
        if not kept and (name in _NOT_SENT_BYTES or name.startswith(b"x-spendops-") or name in named):
            continue
        headers.add(name.decode("latin-1"), value.decode("latin-1"))
    for own_name, own_value in own:
        headers[own_name] = own_value
    headers["content-type"] = "application/json"
    headers["accept-encoding"] = "identity"  # usage is read as it passes
    headers["x-request-id"] = request_id
    return headers


def returned_headers(upstream: CIMultiDictProxy[str]) -> Headers:
    """The headers of a provider's answer that go on to the caller."""
    named = {part.strip().lower() for part in upstream.get("connection", "").split(",")}
    return [
        (name.lower().encode("latin-1"), value.encode("utf-8", "surrogateescape"))
        for name, value in upstream.items()
        if (lowered := name.lower()) not in _NOT_RETURNED and lowered not in named and not lowered.startswith(_OURS)
    ]


def receipt(
    *,
    request_id: str,
    event_id: str = "",
    cost: str | None = None,
    charge: str | None = None,
    warnings: Iterable[str] = (),
    sandbox: bool = False,
    selected: str = "",
) -> Headers:
    """The receipt: which event to look for, what the call cost (USD) where that is known in time, what was left out.

    What is charged is named only where it differs from the cost, `selected` only where a tier was asked for: the model
    that it stood for.
    """
    headers = [(b"x-request-id", request_id.encode())]
    if event_id:
        headers.append((b"x-spendops-event", event_id.encode()))
    if cost is not None:
        headers.append((b"x-spendops-cost", cost.encode()))
    if charge is not None and charge != cost:
        headers.append((b"x-spendops-charge", charge.encode()))
    if selected:
        headers.append((b"x-spendops-model", selected.encode("ascii", "replace")))
    if sandbox:
        headers.append((b"x-spendops-sandbox", b"1"))
    text = "; ".join(warnings)
    if text:
        headers.append((b"x-spendops-warning", text.encode("ascii", "replace")))
    return headers


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    """Headers that `Connection` names are for the next hop only (RFC 9110, section 7.6.1)."""
    for name, value in headers:
        if name == b"connection" and value.lower() not in (b"keep-alive", b"close"):
            return frozenset(part.strip().lower() for part in value.split(b","))
    return frozenset()
