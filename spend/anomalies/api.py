"""Anomalies: the list, one, and what is said of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, cast

from django.http import Http404, HttpRequest
from ninja import Field, Query, Router, Schema
from pydantic import ConfigDict

from spend.anomalies.actions import NOTE_MOST, settle_anomaly
from spend.anomalies.queries import anomalies as rows_of
from spend.anomalies.queries import anomaly_by_id
from spend.models import Anomaly
from tenants.frame.operations import operation
from tenants.frame.paging import Page, Paging, page_of
from tenants.http import TenantRequest
from tenants.permissions import Permission
from wire.money import PICO_PER_MICRO, usd_string

anomalies = Router(tags=["Anomalies"])


class AnomalyOut(Schema):
    """A day on which a project's model cost far more than its weekdays do."""

    id: str = Field(examples=["y_4k2m9x0c1v7b"])
    day: date = Field(description="In the tenant's time zone.")
    project_id: str = Field(examples=["p_4k2m9x0c1v7b"])
    model: str = Field(examples=["gpt-4o"])
    charge_usd: str = Field(description="To the micro-USD.", examples=["300.000000000000"])
    expected_usd: str = Field(description="The median of the weekdays before.", examples=["100.000000000000"])
    bound_usd: str = Field(description="Above it a day is odd.", examples=["150.000000000000"])
    key_id: str = Field(description="The API key whose spend rose the most.", examples=["8Zq1n4Tt6y2p"])
    key_share: int = Field(description="Its share in what is above expected, percent.", examples=[94])
    status: Literal["open", "dismissed", "expected", "confirmed", "gone"] = Field(
        description="gone: the day was priced anew and is not odd any more."
    )
    note: str = Field(examples=["a load test"])
    settled_by: str = Field(examples=["u_4k2m9x0c1v7b"])
    settled_at: datetime | None
    found_at: datetime


class AnomaliesQuery(Schema):
    """Which anomalies."""

    status: Literal["", "open", "settled", "dismissed", "expected", "confirmed", "gone"] = Field("", examples=["open"])
    project_id: str = Field("", max_length=64, examples=[""])


class VerdictIn(Schema):
    """What is said of an anomaly."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["dismissed", "expected", "confirmed", "open"] = Field(description="open: it is open again.")
    note: str = Field("", max_length=NOTE_MOST, examples=["a load test"])


@operation(
    anomalies, "GET", "", Permission.SPEND_VIEW, answers={200: Page[AnomalyOut]}, summary="Anomalies, the newest first"
)
def list_anomalies(request: HttpRequest, wanted: Query[AnomaliesQuery], paging: Query[Paging]) -> Any:
    """Of the tenant."""
    rows = rows_of(status=wanted.status, project=wanted.project_id)
    return page_of(rows, paging, _shown, newest_by=("day", "id"), salt="anomalies")


@operation(anomalies, "GET", "/{anomaly_id}", Permission.SPEND_VIEW, answers={200: AnomalyOut}, summary="One anomaly")
def get_anomaly(request: HttpRequest, anomaly_id: str) -> Any:
    """With the figures of the last look."""
    return _shown(_row(anomaly_id))


@operation(
    anomalies,
    "POST",
    "/{anomaly_id}/settle",
    Permission.ANOMALIES_SETTLE,
    answers={200: AnomalyOut},
    conflicts=True,
    summary="Say what an anomaly was",
)
def settle(request: HttpRequest, anomaly_id: str, payload: VerdictIn) -> Any:
    """What was expected is not told again for four weeks, unless it costs 1.2 times as much."""
    known = cast(TenantRequest, request)
    row = settle_anomaly(anomaly=_row(anomaly_id), verdict=payload.verdict, note=payload.note, by=known.actor)
    return _shown(row)


def _row(anomaly_id: str) -> Anomaly:
    row = anomaly_by_id(anomaly_id)
    if row is None:
        raise Http404("There is nothing at this address.")
    return row


def _shown(row: Anomaly) -> dict[str, Any]:
    amounts = {
        f"{name}_usd": usd_string(getattr(row, name) * PICO_PER_MICRO) for name in ("charge", "expected", "bound")
    }
    plain = (
        "day",
        "project_id",
        "model",
        "key_id",
        "key_share",
        "status",
        "note",
        "settled_by",
        "settled_at",
        "found_at",
    )
    return {"id": row.pk, **amounts, **{name: getattr(row, name) for name in plain}}
