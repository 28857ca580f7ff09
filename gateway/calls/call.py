"""A call, and how it ended: what the steps hand to one another."""

from __future__ import annotations

from typing import NamedTuple

from gateway.apis.base import NOTHING, Api, Body, Reading
from gateway.arrival import Arrival
from gateway.attribution import Attribution
from gateway.auth import Caller
from gateway.limits import Slot
from gateway.providers.base import Provider
from gateway.rules import Refusal
from gateway.tenantprices import Terms
from wire.events import Status
from wire.prices import PriceBook

CLIENT_CLOSED = 499  # what is noted of a call whose caller left before any answer (nginx's convention)


class Call(NamedTuple):
    """A call that may be forwarded."""

    arrival: Arrival
    api: Api
    caller: Caller
    provider: Provider
    model: str  # as the provider names it
    asked: str  # what the caller asked for: the same, or a tier
    tier: str
    selected: bool  # whether the model was chosen for the tier that was asked for
    body: Body
    book: PriceBook | None  # taken once: the call is priced by this book whatever is published meanwhile
    terms: Terms  # the tenant's overrides, taken once in the same way
    put_down_to: Attribution
    streamed: bool
    hide_usage: bool
    slot: Slot  # of its key's limits
    whole: float  # perf_counter, when the request was here in whole


class Refused(NamedTuple):
    """A call that may not be forwarded, and the model that it asked for, as far as it could be read.

    `revs` are those of documents that decided beside the caller's.
    """

    refusal: Refusal
    model: str = ""
    revs: dict[str, int] = {}


class Ending(NamedTuple):
    """How a forwarded call ended."""

    status: Status
    http_status: int  # what the caller was answered
    reading: Reading = NOTHING
    used: bool = True  # whether the provider worked on it; an error of its own costs nothing
    generated_bytes: int = 0  # text that came back without a usage block
    began: float = 0.0  # perf_counter of the first byte; 0 when none came
    upstream_request_id: str = ""
