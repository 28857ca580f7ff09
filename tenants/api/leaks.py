"""Which of the tenant's keys stand in a text, and their end in one step."""

from __future__ import annotations

from typing import Literal, cast

from django.http import HttpRequest
from ninja import Field, Router, Schema
from pydantic import ConfigDict

from tenants.actions.leaks import Leaks, find_leaks, revoke_leaked
from tenants.frame.operations import operation
from tenants.http import TenantRequest
from tenants.leaks import TEXT_MOST
from tenants.permissions import Permission

leaks = Router(tags=["API keys"])


class TextIn(Schema):
    """A text in which keys may stand. It is looked at in memory, and kept nowhere."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=TEXT_MOST, examples=["export API_KEY=so_prod_…"])


class LeakOut(Schema):
    """A key of the tenant that stands in the text."""

    id: str = Field(examples=["8Zq1n4Tt6y2p"])
    name: str = Field(examples=["Billing bot"])
    status: Literal["active", "disabled", "revoked"] = Field(description="After what was asked for is done.")
    env: str = Field(examples=["prod"])
    project_id: str = Field(examples=["p_4k2m9x0c1v7b"])
    lines: list[int] = Field(description="In which lines of the text, from 1.", examples=[[12]])


class LeaksOut(Schema):
    """What a text holds."""

    found: list[LeakOut]
    strangers: int = Field(description="Well-formed keys of SpendOps that are not this tenant's.", examples=[0])
    cut: bool = Field(description="True when only the first 50,000 words were compared with taken over keys.")


@operation(leaks, "POST", "", Permission.KEYS_VIEW, answers={200: LeaksOut}, summary="Look for leaked keys in a text")
def check_leaks(request: HttpRequest, payload: TextIn) -> LeaksOut:
    """Keys of ours are known by their form and checksum, taken over ones by the hash of every word."""
    known = cast(TenantRequest, request)
    return _shown(find_leaks(tenant=known.tenant, text=payload.text, by=known.actor), revoked=set())


@operation(
    leaks,
    "POST",
    "/revoke",
    Permission.KEYS_REVOKE,
    answers={200: LeaksOut},
    summary="Revoke all keys that stand in a text",
)
def revoke_leaks(request: HttpRequest, payload: TextIn) -> LeaksOut:
    """The gateway refuses them within a second."""
    known = cast(TenantRequest, request)
    found = find_leaks(tenant=known.tenant, text=payload.text, by=known.actor)
    revoked = revoke_leaked(tenant=known.tenant, key_ids=[each.key.id for each in found.working], by=known.actor)
    return _shown(found, revoked={key.id for key in revoked})


def _shown(leaks: Leaks, *, revoked: set[str]) -> LeaksOut:
    rows = [
        {
            "id": each.key.id,
            "name": each.key.name,
            "status": "revoked" if each.key.id in revoked else each.key.status,
            "env": each.key.env,
            "project_id": each.key.project_id,
            "lines": each.lines,
        }
        for each in leaks.found
    ]
    return LeaksOut.model_validate({"found": rows, "strangers": leaks.strangers, "cut": leaks.cut})
