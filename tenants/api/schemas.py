"""What the operations of `tenants` take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Field, Schema
from pydantic import AwareDatetime, BeforeValidator, ConfigDict, StringConstraints

from tenants.frame.paging import Page, Paging
from tenants.rules import BILLING_DAY_LAST, NAME_LONGEST, QUOTA_MOST, REASON_LONGEST
from wire.events import TAGS_MOST

Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LONGEST)]


def _as_text(value: Any) -> Any:
    """Pydantic would also take a number, as seconds since 1970."""
    if value is not None and not (isinstance(value, str) and value[4:5] == "-"):
        raise ValueError("write a moment like 2027-06-30T00:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text)]
_STRICT = ConfigDict(extra="forbid")
_WHEN = "2026-11-21T09:30:00Z"


class TenantOut(Schema):
    """A tenant."""

    id: str = Field(examples=["t_4k2m9x0c1v7b"])
    name: str = Field(examples=["Acme"])
    currency: str = Field(examples=["EUR"])
    time_zone: str = Field(examples=["Europe/Berlin"])


class Me(Schema):
    """Who calls, and what they may do."""

    kind: Literal["user", "service_token"]
    id: str = Field(examples=["u_5n0q2d8s6w1f"])
    name: str = Field(examples=["Asha Rao"])
    email: str | None = Field(description="Of a person; null for a token.", examples=["asha@example.com"])
    tenant: TenantOut | None = Field(description="The tenant that is looked at.")
    permissions: list[str] = Field(examples=[["spend.view", "keys.view"]])


class MemberOut(Schema):
    """Somebody's role in the tenant. A person with two roles is listed once for each."""

    user: str = Field(examples=["u_5n0q2d8s6w1f"])
    name: str = Field(examples=["Asha Rao"])
    email: str = Field(examples=["asha@example.com"])
    role: str = Field(examples=["tenant_admin"])
    active: bool = Field(description="False for somebody who was deactivated.")
    since: datetime = Field(examples=[_WHEN])


class MemberPage(Page[MemberOut]):
    """A page of members."""


class TokenOut(Schema):
    """A service token, without its secret."""

    id: str = Field(examples=["4Xk2m9Qx0c1v"])
    name: str = Field(examples=["Nightly report"])
    scopes: list[str] = Field(examples=[["spend.view"]])
    confirmed_scopes: list[str] = Field(
        description="The dangerous scopes that a person confirmed with a passkey.", examples=[[]]
    )
    status: Literal["active", "expired", "revoked"]
    last_four: str = Field(examples=["x9Zq"])
    created_at: datetime = Field(examples=[_WHEN])
    created_by: str = Field(examples=["u_5n0q2d8s6w1f"])
    expires_at: datetime = Field(examples=["2027-06-30T00:00:00Z"])
    last_used_at: datetime | None = Field(description="To the minute; null until the first use.", examples=[None])
    revoked_at: datetime | None = Field(examples=[None])


class TokenPage(Page[TokenOut]):
    """A page of service tokens."""


class TokenIn(Schema):
    """A service token to issue."""

    model_config = _STRICT

    name: Name = Field(examples=["Nightly report"])
    scopes: list[str] = Field(
        min_length=1, max_length=50, description="Permissions that you have yourself.", examples=[["spend.view"]]
    )
    expires_at: Moment = Field(description="At most a year from now.", examples=["2027-06-30T00:00:00Z"])


class IssuedTokenOut(TokenOut):
    """A service token just issued."""

    token: str = Field(
        description="The token itself: this answer is the only one that ever shows it.",
        examples=["sot_4Xk2m9Qx0c1v_…"],
    )


class SessionOut(Schema):
    """A browser in which you are signed in."""

    id: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    browser: str = Field(examples=["Firefox on Linux"])
    address: str = Field(examples=["192.0.2.7"])
    signed_in_at: datetime | None = Field(examples=[_WHEN])
    seen_at: datetime | None = Field(examples=[_WHEN])
    current: bool = Field(description="Whether this request comes from it.")


class SessionPage(Page[SessionOut]):
    """A page of sessions."""


class AuditQuery(Paging):
    """What the list of audit events is narrowed to."""

    kind: str = Field("", max_length=64, pattern=r"^[a-z_.]*$", description="Such as api_key.issued.", examples=[""])
    actor: str = Field("", max_length=64, pattern=r"^[!-~]*$", description="The id of who acted.", examples=[""])
    target: str = Field(
        "", max_length=128, pattern=r"^[!-~]*$", description="The id of what it is about.", examples=[""]
    )
    since: Moment | None = Field(None, description="Not before this moment.")
    until: Moment | None = Field(None, description="Before this moment.")


class AuditOut(Schema):
    """Something that happened."""

    id: int = Field(examples=[4711])
    at: datetime = Field(examples=[_WHEN])
    kind: str = Field(examples=["api_key.issued"])
    actor_kind: str = Field(examples=["user"])
    actor_id: str = Field(examples=["u_5n0q2d8s6w1f"])
    actor_role: str = Field(examples=["tenant_admin"])
    target_kind: str = Field(examples=["api_key"])
    target_id: str = Field(examples=["8Zq1n4Tt6y2p"])
    before: dict[str, Any] | None = Field(examples=[None])
    after: dict[str, Any] | None = Field(examples=[{"name": "Billing bot"}])
    request_id: str = Field(examples=["01936b7e-0000-7000-8000-000000000000"])
    address: str = Field(examples=["192.0.2.7"])


class AuditPage(Page[AuditOut]):
    """A page of audit events, the newest first."""


class ProjectOut(Schema):
    """A project."""

    id: str = Field(examples=["p_4k2m9x0c1v7b"])
    name: str = Field(examples=["Checkout"])
    status: Literal["active", "suspended", "archived"]
    status_reason: str = Field(description="Why it is suspended or archived.", examples=[""])
    tags: dict[str, str] = Field(examples=[{"team": "search"}])
    keys_living: int = Field(description="Keys that are not revoked.", examples=[12])
    keys_most: int | None = Field(description="How many there may be; null: any number.", examples=[None])
    version: int = Field(description="Send it back with a change.", examples=[1])
    last_used_at: datetime | None = Field(description="The last call with one of its keys.", examples=[None])
    created_at: datetime = Field(examples=[_WHEN])


class ProjectPage(Page[ProjectOut]):
    """A page of projects."""


Tags = Annotated[
    dict[str, str],
    Field(max_length=TAGS_MOST, description="Names with values.", examples=[{"team": "search"}]),
]
Quota = Annotated[int, Field(ge=0, le=QUOTA_MOST)]
Version = Annotated[
    int | None, Field(ge=1, description="The one that you saw: a change made meanwhile is then not overwritten.")
]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=REASON_LONGEST)]


class ProjectIn(Schema):
    """A project to create."""

    model_config = _STRICT

    name: Name = Field(examples=["Checkout"])
    tags: Tags = {}
    keys_most: Quota | None = Field(None, description="How many living keys it may have; null: any number.")


class ProjectChange(Schema):
    """What of a project to change; what is left out stays."""

    model_config = _STRICT

    name: Name | None = Field(None, examples=["Checkout"])
    tags: Tags | None = None
    keys_most: Quota | None = Field(None, description="null takes the quota away.")
    version: Version = None


class ReasonIn(Schema):
    """Why something is stopped."""

    model_config = _STRICT

    reason: Reason = Field(examples=["Invoice of September is unpaid."])


class TenantDetail(TenantOut):
    """A tenant with all its facts."""

    status: Literal["active", "suspended", "archived"]
    status_reason: str = Field(description="Why it is suspended or archived.", examples=[""])
    billing_day: int = Field(description="The day of the month that a bill begins with.", examples=[1])
    tags: dict[str, str] = Field(examples=[{"region": "emea"}])
    keys_living: int = Field(description="Keys that are not revoked.", examples=[12])
    keys_most: int | None = Field(description="How many there may be; null: any number.", examples=[None])
    projects_most: int | None = Field(description="Of projects that are not archived.", examples=[None])
    version: int = Field(description="Send it back with a change.", examples=[1])
    created_at: datetime = Field(examples=[_WHEN])


class TenantPage(Page[TenantDetail]):
    """A page of tenants."""


class TenantQuery(Paging):
    """What the list of tenants is narrowed to."""

    status: Literal["", "active", "suspended", "archived"] = Field("", examples=["active"])


BillingDay = Annotated[int, Field(ge=1, le=BILLING_DAY_LAST)]


class TenantIn(Schema):
    """A tenant to create."""

    model_config = _STRICT

    name: Name = Field(examples=["Acme"])
    time_zone: str = Field("UTC", max_length=64, examples=["Europe/Berlin"])
    currency: str = Field("USD", min_length=3, max_length=3, examples=["EUR"])
    billing_day: BillingDay = 1
    tags: Tags = {}
    keys_most: Quota | None = Field(None, description="How many living keys it may have; null: any number.")
    projects_most: Quota | None = Field(None, description="How many projects it may have; null: any number.")


class TenantChange(Schema):
    """What of a tenant to change; what is left out stays. Quotas are for platform admins."""

    model_config = _STRICT

    name: Name | None = Field(None, examples=["Acme"])
    time_zone: str | None = Field(None, max_length=64, examples=["Europe/Berlin"])
    currency: str | None = Field(None, min_length=3, max_length=3, examples=["EUR"])
    billing_day: BillingDay | None = None
    tags: Tags | None = None
    keys_most: Quota | None = Field(None, description="null takes the quota away.")
    projects_most: Quota | None = Field(None, description="null takes the quota away.")
    version: Version = None


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
