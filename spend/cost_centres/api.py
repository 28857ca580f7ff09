"""Cost centres: the rules, what they come to, and changing them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, cast

from django.http import HttpRequest
from ninja import Field, Router, Schema
from pydantic import ConfigDict, StringConstraints

from spend.cost_centres.actions import change_cost_centres
from spend.cost_centres.queries import Held, held_by, outcome
from spend.cost_centres.rules import (
    CENTRES_MOST,
    NAME_LONGEST,
    RULES_MOST,
    VALUE_LONGEST,
    VALUES_MOST,
    WHOLE,
    Book,
    Centre,
    Rule,
    cleaned,
)
from spend.views.live import today_of
from tenants.frame.operations import operation
from tenants.frame.problems import Problem
from tenants.http import TenantRequest
from tenants.permissions import Permission
from wire.money import usd_string

cost_centres = Router(tags=["Cost centres"])

Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LONGEST)]
Value = Annotated[str, StringConstraints(min_length=1, max_length=VALUE_LONGEST)]
Share = Annotated[int, Field(ge=0, le=WHOLE, strict=True)]
_STRICT = ConfigDict(extra="forbid")


class SharedCentre(Schema):
    """A cost centre whose spend is split among those that are not shared."""

    model_config = _STRICT

    name: Name = Field(examples=["Platform"])
    split: Literal["", "equal", "fixed", "spend"] = Field(
        "", description="“”: not shared. spend: in proportion to the others' own spend.", examples=["fixed"]
    )
    shares: dict[str, Share] = Field(
        {}, max_length=CENTRES_MOST, description="Of fixed: basis points by cost centre, 10,000 in all."
    )


class RuleOut(Schema):
    """Usage that has one of the values of each field goes to the cost centre."""

    model_config = _STRICT

    centre: Name = Field(examples=["Checkout"])
    when: dict[str, Annotated[list[Value], Field(max_length=VALUES_MOST)]] = Field(
        description="Values by field: project, key (ids), model, provider, env, end_user or tag:<name>. A * at the end "
        "of a value stands for any ending.",
        examples=[{"project": ["p_4k2m9x0c1v7b"], "model": ["gpt-4o*"]}],
    )


class BookIn(Schema):
    """All cost centres and rules."""

    model_config = _STRICT

    centres: list[SharedCentre] = Field(
        [], max_length=CENTRES_MOST, description="Those that no rule names, and those that are shared."
    )
    rules: list[RuleOut] = Field(
        [], max_length=RULES_MOST, description="In their order: the first that matches decides."
    )


class BookChange(BookIn):
    """What is to hold from now on."""

    version: int = Field(
        ge=0, strict=True, description="The one that was read; 0 when there were no rules.", examples=[1]
    )


class BookOut(BookIn):
    """What holds."""

    version: int = Field(examples=[2])


class PaidOut(Schema):
    """A cost centre's part. Amounts of USD with twelve places."""

    centre: str = Field(description="“Unallocated”: what no rule takes.", examples=["Checkout"])
    requests: int = Field(description="Of its own usage.")
    own_usd: str
    shared_usd: dict[str, str] = Field(description="Its parts of shared cost centres, by their names.")
    charge_usd: str = Field(description="Own and shared.")


class OutcomeOut(Schema):
    """Who pays for the last 30 days. The charges come to the whole exactly."""

    first: date
    last: date
    charge_usd: str
    unallocated_usd: str
    paid: list[PaidOut]


@operation(
    cost_centres, "GET", "", Permission.SPEND_VIEW, answers={200: BookOut}, summary="Cost centres and their rules"
)
def get_cost_centres(request: HttpRequest) -> BookOut:
    """They are a view over usage: no event holds its cost centre."""
    return _shown(held_by(cast(TenantRequest, request).tenant.id))


@operation(
    cost_centres,
    "PUT",
    "",
    Permission.COST_CENTRES_CHANGE,
    answers={200: BookOut},
    conflicts=True,
    summary="Change cost centres and rules",
)
def put_cost_centres(request: HttpRequest, payload: BookChange) -> BookOut:
    """They hold at once and for past usage, too. Sealed statements stay as they are."""
    known = cast(TenantRequest, request)
    row = change_cost_centres(tenant=known.tenant, book=_book(payload), version=payload.version, by=known.actor)
    return _shown(Held(row.version, Book.of(row.book)))


@operation(
    cost_centres,
    "GET",
    "/outcome",
    Permission.SPEND_VIEW,
    answers={200: OutcomeOut, 503: Problem},
    summary="Who pays for the last 30 days",
)
def get_outcome(request: HttpRequest) -> OutcomeOut:
    """By the rules that hold."""
    return _outcome(request, held_by(cast(TenantRequest, request).tenant.id).book)


@operation(
    cost_centres,
    "POST",
    "/outcome",
    Permission.SPEND_VIEW,
    answers={200: OutcomeOut, 503: Problem},
    summary="Who would pay for the last 30 days",
)
def try_cost_centres(request: HttpRequest, payload: BookIn) -> OutcomeOut:
    """By rules that are only tried: nothing is changed."""
    return _outcome(request, cleaned(_book(payload)))


def _book(payload: BookIn) -> Book:
    return Book(
        tuple(Centre(each.name, each.split, each.shares) for each in payload.centres),
        tuple(Rule(each.centre, {name: tuple(values) for name, values in each.when.items()}) for each in payload.rules),
    )


def _shown(held: Held) -> BookOut:
    return BookOut.model_validate(held.book.stored() | {"version": held.version})


def _outcome(request: HttpRequest, book: Book) -> OutcomeOut:
    tenant = cast(TenantRequest, request).tenant
    found = outcome(tenant.id, book, today=today_of(tenant))
    return OutcomeOut(
        first=found.first,
        last=found.last,
        charge_usd=usd_string(found.whole),
        unallocated_usd=usd_string(found.unallocated),
        paid=[
            PaidOut(
                centre=each.centre,
                requests=found.requests.get(each.centre, 0),
                own_usd=usd_string(each.own),
                shared_usd={name: usd_string(part) for name, part in each.shared.items()},
                charge_usd=usd_string(each.total),
            )
            for each in found.paid
        ],
    )
