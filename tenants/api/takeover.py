"""Taking over keys of another system, of which only the SHA-256 is known."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Field, Router, Schema
from pydantic import ConfigDict, StringConstraints, WithJsonSchema

from tenants.actions.takeover import take_over_keys
from tenants.api.schemas import Moment, Name, Pattern
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import operation
from tenants.http import TenantRequest
from tenants.permissions import Permission
from tenants.takeover import Row, Unreadable, read_rows
from wire.events import TAGS_MOST

takeover = Router(tags=["API keys"])

AT_ONCE = 1000
_STRICT = ConfigDict(extra="forbid")
Text = Annotated[str, StringConstraints(max_length=320)]
Texts = Annotated[list[Pattern], Field(max_length=100)]
Limit = Annotated[int, Field(ge=0)]


class ForeignKeyIn(Schema):
    """A key of another system."""

    model_config = _STRICT

    name: Name = Field(examples=["LiteLLM billing bot"])
    sha256: str = Field(
        min_length=64,
        max_length=64,
        description="The SHA-256 of the key as 64 hexadecimal digits. Never send the key itself.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    project: Text = Field(description="Its id or name.", examples=["p_4k2m9x0c1v7b"])
    env: str = Field(max_length=16, pattern=r"^[a-z]+$", examples=["prod"])
    expires_at: Moment | None = Field(None, description="Without it the key does not expire.")
    owner: Text = Field("", description="The e-mail address of a member.", examples=["asha@example.com"])
    allowed_models: Texts = Field([], description="Empty: every model.", examples=[["gpt-4o*"]])
    denied_models: Texts = Field([], examples=[[]])
    allowed_providers: Texts = Field([], examples=[[]])
    denied_providers: Texts = Field([], examples=[[]])
    networks: Texts = Field([], description="CIDR blocks; empty: anywhere.", examples=[[]])
    tier: Literal["", "bulk", "standard", "frontier"] = ""
    rpm: Limit = Field(0, description="Requests a minute; 0: no limit.")
    tpm: Limit = Field(0, description="Tokens a minute.")
    concurrency: Limit = Field(0, description="Calls at the same time.")
    tags: dict[str, str] = Field({}, max_length=TAGS_MOST, examples=[{"team": "search"}])


# Their faults are found by the reader of lists, so that each comes in the same form, and all of them at once.
_KEYS = {"type": "array", "minItems": 1, "maxItems": AT_ONCE, "items": ForeignKeyIn.model_json_schema()}


class TakeOverIn(Schema):
    """Keys to take over: all of them, or none."""

    model_config = _STRICT

    keys: Annotated[list[Any], WithJsonSchema(_KEYS)] = Field(min_length=1, max_length=AT_ONCE)
    dry_run: bool = Field(False, description="Say what would be done, and change nothing.")


class TakenKeyOut(Schema):
    """A key that was taken over; `line` counts from 1."""

    id: str | None = Field(description="null on a dry run.", examples=["8Zq1n4Tt6y2p"])
    name: str = Field(examples=["LiteLLM billing bot"])
    project_id: str = Field(examples=["p_4k2m9x0c1v7b"])
    env: str = Field(examples=["prod"])


class SkippedKeyOut(Schema):
    """A key whose hash is here already."""

    line: int = Field(description="Which of the keys that were sent, from 1.", examples=[2])
    id: str = Field(examples=["8Zq1n4Tt6y2p"])
    status: Literal["active", "disabled", "revoked"]


class TakeOverOut(Schema):
    """What became of the keys."""

    dry_run: bool
    taken_over: list[TakenKeyOut]
    skipped: list[SkippedKeyOut]


@operation(
    takeover,
    "POST",
    "",
    Permission.KEYS_ISSUE,
    answers={200: TakeOverOut},
    creates=True,
    summary="Take over keys of another system",
)
@idempotent
def take_over(request: HttpRequest, payload: TakeOverIn) -> HttpResponse:
    """They work at the gateway as they did before. One that cannot be taken keeps all back: the answer names each,
    as `2.sha256` for the second's. A key whose hash is here already is skipped.
    """
    known = cast(TenantRequest, request)
    rows = [(number, _row(each)) for number, each in enumerate(payload.keys, start=1)]
    listed = read_rows(rows, zone=ZoneInfo("UTC"))
    done = take_over_keys(tenant=known.tenant, listed=listed, dry_run=payload.dry_run, by=known.actor)
    shown = TakeOverOut(
        dry_run=payload.dry_run,
        taken_over=[
            TakenKeyOut(id=None if payload.dry_run else key.id, name=key.name, project_id=key.project_id, env=key.env)
            for key in done.keys
        ],
        skipped=[
            SkippedKeyOut.model_validate({"line": each.line, "id": each.key.id, "status": each.key.status})
            for each in done.skipped
        ],
    )
    return JsonResponse(shown.model_dump())


def _row(given: Any) -> Row:
    return given if isinstance(given, dict) else Unreadable("It is no JSON object.")
