"""What the operations of API keys take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ninja import Field, Schema
from pydantic import ConfigDict

from tenants.actions.key_batches import AT_ONCE
from tenants.api.schemas import Moment, Name, Pattern, Tags, Version
from tenants.frame.paging import Page, Paging
from tenants.policy import LIMITS_MOST, NETWORKS_MOST
from tenants.rules import PATTERNS_MOST

_STRICT = ConfigDict(extra="forbid")
_WHEN = "2026-11-21T09:30:00Z"
_MEANT = {
    "allowed_models": "Names or wildcards. Empty: every model.",
    "denied_models": "These stay denied when they are allowed, too.",
    "allowed_providers": "Names or wildcards. Empty: every provider.",
    "denied_providers": "These stay denied when they are allowed, too.",
    "networks": "CIDR blocks or single addresses that calls may come from. Empty: anywhere.",
    "tier": "Which models a call gets that leaves the choice to the gateway; empty: as it asks.",
    "rpm": "Requests a minute; 0: no limit.",
    "tpm": "Tokens a minute; 0: no limit.",
    "concurrency": "Calls at the same time; 0: no limit.",
    "tags": "Put on each call of the key.",
    "owner_id": "The member whose key it is; empty: the whole tenant's.",
    "not_before": "It does not work before; null: at once.",
    "expires_at": "It does not work from then on; null: it does not expire.",
}

ProjectIdText = Annotated[
    str,
    Field(max_length=32, pattern=r"^p_[0-9a-z]{1,30}$", description="The project's id.", examples=["p_4k2m9x0c1v7b"]),
]
OwnerIdText = Annotated[
    str, Field(max_length=32, pattern=r"^[0-9a-z_]*$", description=_MEANT["owner_id"], examples=[""])
]
Patterns = Annotated[list[Pattern], Field(max_length=PATTERNS_MOST)]
Networks = Annotated[
    list[Pattern], Field(max_length=NETWORKS_MOST, description=_MEANT["networks"], examples=[["192.0.2.0/24"]])
]
Tier = Annotated[Literal["", "bulk", "standard", "frontier"], Field(description=_MEANT["tier"], examples=["standard"])]
Rpm = Annotated[int, Field(ge=0, le=LIMITS_MOST["rpm"], description=_MEANT["rpm"], examples=[600])]
Tpm = Annotated[int, Field(ge=0, le=LIMITS_MOST["tpm"], description=_MEANT["tpm"], examples=[0])]
Concurrency = Annotated[
    int, Field(ge=0, le=LIMITS_MOST["concurrency"], description=_MEANT["concurrency"], examples=[0])
]
KeyIdText = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{12}$", examples=["8Zq1n4Tt6y2p"])]


class KeyQuery(Paging):
    """What the list of keys is narrowed to."""

    q: str = Field(
        "",
        max_length=200,
        pattern=r"^[^\x00-\x1f]*$",
        description="Part of the name, the start of the id, the last four, part of the owner's name or address, a "
        "tag's name, or a tag like team=search.",
        examples=["billing"],
    )
    status: Literal[
        "", "active", "expiring", "expired", "disabled", "revoked", "never_used", "unused", "rotation_due"
    ] = Field(
        "",
        description="active: works now. expiring: within 14 days. unused: for 90 days. rotation_due: hashed with an "
        "old pepper.",
        examples=["active"],
    )
    env: str = Field("", max_length=16, pattern=r"^[a-z]*$", examples=["dev"])
    project_id: str = Field("", max_length=32, pattern=r"^[0-9a-z_]*$", description="A project's id.", examples=[""])
    owner_id: str = Field("", max_length=32, pattern=r"^[0-9a-z_]*$", description="A member's id.", examples=[""])
    tier: Literal["", "bulk", "standard", "frontier"] = Field("", examples=[""])


class KeyOut(Schema):
    """An API key, without its secret."""

    id: str = Field(examples=["8Zq1n4Tt6y2p"])
    name: str = Field(examples=["Billing bot"])
    env: str = Field(examples=["dev"])
    project_id: str = Field(examples=["p_4k2m9x0c1v7b"])
    owner_id: str = Field(description=_MEANT["owner_id"], examples=[""])
    status: Literal["active", "disabled", "revoked"] = Field(
        description="What was decided about it. One that is active may be expired.", examples=["active"]
    )
    last_four: str = Field(description="Empty for a key that was taken over by its hash.", examples=["x9Zq"])
    taken_over: bool = Field(description="Whether it comes from another system.", examples=[False])
    not_before: datetime | None = Field(description=_MEANT["not_before"], examples=[None])
    expires_at: datetime | None = Field(description=_MEANT["expires_at"], examples=[None])
    allowed_models: list[str] = Field(description=_MEANT["allowed_models"], examples=[["gpt-4o*"]])
    denied_models: list[str] = Field(description=_MEANT["denied_models"], examples=[[]])
    allowed_providers: list[str] = Field(description=_MEANT["allowed_providers"], examples=[["openai"]])
    denied_providers: list[str] = Field(description=_MEANT["denied_providers"], examples=[[]])
    networks: list[str] = Field(description=_MEANT["networks"], examples=[["192.0.2.0/24"]])
    tier: str = Field(description=_MEANT["tier"], examples=[""])
    rpm: int = Field(description=_MEANT["rpm"], examples=[600])
    tpm: int = Field(description=_MEANT["tpm"], examples=[0])
    concurrency: int = Field(description=_MEANT["concurrency"], examples=[0])
    tags: dict[str, str] = Field(description=_MEANT["tags"], examples=[{"team": "search"}])
    version: int = Field(description="Raised by each change; send it back with a change.", examples=[3])
    created_at: datetime = Field(examples=[_WHEN])
    created_by: str = Field(examples=["u_5n0q2d8s6w1f"])
    last_used_at: datetime | None = Field(description="To the minute; null until the first call.", examples=[_WHEN])
    replaced_by: str = Field(description="The id of the key that it was rotated into.", examples=[""])
    revoked_at: datetime | None = Field(examples=[None])


class KeyPage(Page[KeyOut]):
    """A page of API keys."""


class KeyIn(Schema):
    """An API key to issue. Only the first three are needed."""

    model_config = _STRICT

    name: Name = Field(examples=["Billing bot"])
    project_id: ProjectIdText
    env: str = Field(max_length=16, pattern=r"^[a-z]+$", examples=["dev"])
    owner_id: OwnerIdText = ""
    not_before: Moment | None = Field(None, description=_MEANT["not_before"])
    expires_at: Moment | None = Field(None, description=_MEANT["expires_at"])
    allowed_models: Patterns = Field([], description=_MEANT["allowed_models"], examples=[["gpt-4o*"]])
    denied_models: Patterns = Field([], description=_MEANT["denied_models"], examples=[[]])
    allowed_providers: Patterns = Field([], description=_MEANT["allowed_providers"], examples=[["openai"]])
    denied_providers: Patterns = Field([], description=_MEANT["denied_providers"], examples=[[]])
    networks: Networks = []
    tier: Tier = ""
    rpm: Rpm = 0
    tpm: Tpm = 0
    concurrency: Concurrency = 0
    tags: Tags = {}


class KeyChange(Schema):
    """What of a key to change; what is left out stays. A list or the tags are replaced as a whole."""

    model_config = _STRICT

    name: Name | None = Field(None, examples=["Billing bot"])
    project_id: ProjectIdText | None = None
    owner_id: OwnerIdText | None = None
    not_before: Moment | None = Field(None, description=_MEANT["not_before"])
    expires_at: Moment | None = Field(None, description=_MEANT["expires_at"])
    allowed_models: Patterns | None = Field(None, description=_MEANT["allowed_models"], examples=[["gpt-4o*"]])
    denied_models: Patterns | None = Field(None, description=_MEANT["denied_models"], examples=[[]])
    allowed_providers: Patterns | None = Field(None, description=_MEANT["allowed_providers"], examples=[["openai"]])
    denied_providers: Patterns | None = Field(None, description=_MEANT["denied_providers"], examples=[[]])
    networks: Networks | None = None
    tier: Tier | None = None
    rpm: Rpm | None = None
    tpm: Tpm | None = None
    concurrency: Concurrency | None = None
    tags: Tags | None = None
    version: Version = None


class RotateIn(Schema):
    """How a key is rotated."""

    model_config = _STRICT

    grace_hours: int = Field(
        24, ge=0, le=720, description="How long the old key goes on working; 0: not at all.", examples=[24]
    )


class IssuedKeyOut(KeyOut):
    """An API key just issued."""

    key: str = Field(
        description="The key itself: this answer is the only one that ever shows it.",
        examples=["so_dev_8Zq1n4Tt6y2p_…"],
    )


class KeysIn(Schema):
    """Keys to revoke."""

    model_config = _STRICT

    ids: list[KeyIdText] = Field(
        min_length=1, max_length=AT_ONCE, description="Their ids.", examples=[["8Zq1n4Tt6y2p"]]
    )


class BatchOut(Schema):
    """What a change of many keys came to."""

    id: str = Field(examples=["kb_4k2m9x0c1v7b"])
    total: int = Field(description="How many keys were named.", examples=[2])
    changed: int = Field(examples=[1])
    skipped: dict[str, int] = Field(
        description="Why keys were left as they are, and how many.", examples=[{"revoked already": 1}]
    )
