"""Usage events and refused calls, one by one."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.core import signing
from django.http import Http404, HttpRequest
from ninja import Field, Query, Router, Schema

from spend.api import EventId, usage
from spend.exploring.api import answered, asked_by, invalid
from spend.exploring.api_words import FILTERS, PERIOD
from spend.forms import REASONS
from spend.queries.denials import DenialRow, find_denials
from spend.queries.requests import RequestRow, find_requests, request_by_id
from tenants.frame.operations import operation
from tenants.frame.paging import Page, Paging
from tenants.frame.problems import ApiProblem, Problem
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.permissions import Permission

denials = Router(tags=["Usage"])

_PERIOD = frozenset({"period", "first", "last", "zone", "limit", "cursor"})
_OF_DENIALS = frozenset({"project", "key", "env"})
_USD = "USD, twelve places; null: unpriced, which is not free."


class UsageOut(Schema):
    """One call that was passed on, or an adjustment."""

    event_id: UUID
    rev: int = Field(description="Above 1 when the event was written anew, as by a re-rating.", examples=[1])
    at: datetime = Field(description="Its arrival.")
    env: str = Field(examples=["prod"])
    project_id: str = Field(examples=["p_4k2m9x0c1v7b"])
    key_id: str = Field(examples=["8Zq1n4Tt6y2p"])
    end_user: str
    tags: dict[str, str] = Field(examples=[{"team": "search"}])
    tier: str
    route: str = Field(examples=["/v1/chat/completions"])
    provider: str = Field(examples=["openai"])
    model_asked: str = Field(examples=["gpt-4o-mini"])
    model_priced: str = Field(description="“” when no price was found.", examples=["gpt-4o-mini"])
    units: dict[str, int] = Field(examples=[{"input": 21, "output": 64}])
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    price_version: int
    override_version: int
    cost_usd: str | None = Field(description=_USD, examples=["0.000041550000"])
    charge_usd: str | None = Field(description=_USD, examples=["0.000041550000"])
    usage_source: str = Field(description="Who counted: provider, estimated or imported.", examples=["provider"])
    kind: str = Field(description="call, or adjustment: money without a call.", examples=["call"])
    calls: int = Field(description="How many calls it stands for.", examples=[1])
    adjusts: str = Field(description="The event that it corrects, when its month was sealed.")
    source: str = Field(description="Where it was imported from; “” for calls through the gateway.")
    service_tier: str
    session: str
    credential: str
    upstream_request_id: str
    status: str = Field(examples=["ok"])
    http_status: int = Field(examples=[200])
    ttfb_ms: int
    duration_ms: int
    streamed: bool
    cached: bool = Field(description="Answered from our own response cache.")
    request_id: str


class DenialOut(Schema):
    """One call that the gateway refused."""

    event_id: UUID
    at: datetime
    env: str
    project_id: str
    key_id: str
    route: str
    model_asked: str
    reason: str = Field(examples=["budget_exhausted"])
    revs: dict[str, int] = Field(description="The revs of the documents that decided.")
    http_status: int = Field(examples=[402])
    request_id: str


class UsageSearch(Paging):
    """Which events are asked for."""

    search: str = Field("", max_length=128, description="An event's id or a request's, ours or the provider's.")


class DenialSearch(Paging):
    """Which refused calls are asked for."""

    reason: str = Field("", max_length=64, description="Why they were refused.", examples=["rate_limited"])
    env: str = Field("", max_length=64)
    project: str = Field("", max_length=64, description="A project's id.")
    key: str = Field("", max_length=128, description="An API key's id.")


@operation(
    usage,
    "GET",
    "",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={200: Page[UsageOut], 503: Problem},
    parameters=[*PERIOD, *FILTERS],
    summary="Usage events, newest first",
)
def find_usage(request: HttpRequest, asked_for: Query[UsageSearch]) -> dict[str, Any]:
    """Narrowed as spend is, so that the events behind any of its figures can be listed."""
    asked = asked_by(request, known=_PERIOD | {"search"})
    found = answered(
        lambda: find_requests(
            asked.tenant_id,
            asked.period.first,
            asked.period.last,
            search=asked_for.search,
            keys=asked.keys,
            zone=asked.view.zone,
            only=asked.view.only,
            without=asked.view.without,
            before=_before(asked_for.cursor, "usage"),
            most=asked_for.limit + 1,
        )
    )
    shown = found[: asked_for.limit]
    more = len(found) > asked_for.limit
    return {"items": [_event(row) for row in shown], "next": _next(shown[-1].event_id, "usage") if more else None}


@operation(
    usage,
    "GET",
    "/{event_id}",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={200: UsageOut, 503: Problem},
    summary="One usage event",
)
def read_usage(request: HttpRequest, event_id: EventId) -> dict[str, Any]:
    """As it counts now: at its highest rev."""
    known = cast(TenantRequest, request)
    row = answered(lambda: request_by_id(known.tenant.id, str(event_id), keys=keys_seen(known)))
    if row is None:
        raise Http404("There is nothing at this address.")
    return _event(row)


@operation(
    denials,
    "GET",
    "",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={200: Page[DenialOut], 503: Problem},
    parameters=PERIOD,
    summary="Refused calls, newest first",
)
def find_refused(request: HttpRequest, asked_for: Query[DenialSearch]) -> dict[str, Any]:
    """Calls that the gateway did not pass on, and why. Days are the tenant's own."""
    asked = asked_by(request, known=_PERIOD | {"reason"})
    others = {*asked.view.only, *asked.view.without} - _OF_DENIALS
    if others or asked.view.without or asked.view.zone:
        raise invalid(
            ("query", "Refused calls are narrowed by env, project, key and reason, on the tenant's own days.")
        )
    if asked_for.reason and asked_for.reason not in [each.value for each in REASONS]:
        raise invalid(("reason", "There is no such reason."))
    found = answered(
        lambda: find_denials(
            asked.tenant_id,
            asked.period.first,
            asked.period.last,
            envs=[asked_for.env] if asked_for.env else [],
            reason=asked_for.reason,
            project=asked_for.project,
            key=asked_for.key,
            keys=asked.keys,
            before=_before(asked_for.cursor, "denials"),
            most=asked_for.limit + 1,
        )
    )
    shown = found[: asked_for.limit]
    more = len(found) > asked_for.limit
    return {"items": [_denial(row) for row in shown], "next": _next(shown[-1].event_id, "denials") if more else None}


def _next(event_id: UUID, of: str) -> str:
    return signing.dumps(str(event_id), salt=f"cursor {of}")


def _before(cursor: str, of: str) -> str:
    if not cursor:
        return ""
    try:
        return str(UUID(signing.loads(cursor, salt=f"cursor {of}")))
    except (signing.BadSignature, ValueError, TypeError, AttributeError) as error:
        raise ApiProblem(
            422, "invalid_cursor", "This cursor is not of this list: leave it out, or send `next` as it came."
        ) from error


def _event(row: RequestRow) -> dict[str, Any]:
    said = row._asdict()
    amounts = {"cost_usd": _usd(row.cost), "charge_usd": _usd(row.charge)}
    return said | {"at": row.ts, "project_id": row.project, "key_id": row.key} | amounts


def _denial(row: DenialRow) -> dict[str, Any]:
    return row._asdict() | {"at": row.ts, "project_id": row.project, "key_id": row.key}


def _usd(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.12f}"
