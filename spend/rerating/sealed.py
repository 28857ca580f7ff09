"""Calls of sealed months: they are not written again; what changes is booked as adjustments in the open month.

An adjustment is what a call costs now, less what it and all its earlier adjustments come to. Its id follows from the
re-rating and the call, so a block that is repeated books it once, in the month where it was booked first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from spend.closing.booking import Books
from spend.closing.ids import derived_id
from spend.queries.adjustments import adjustments_of
from spend.queries.rerating import PastEvent, Rated
from wire.events import UsageEvent
from wire.money import usd_string

ADJUSTMENT = "adjustment"


class Sealed:
    """What is known of a block's calls of sealed months. The books must have waited for others."""

    def __init__(self, job_id: str, tenant_id: str, books: Books, events: Sequence[PastEvent]) -> None:
        self._job, self._tenant = job_id, tenant_id
        self._closed_until = books.closed_until(tenant_id)
        self._cost: dict[str, int] = defaultdict(int)  # of earlier adjustments, by the call
        self._charge: dict[str, int] = defaultdict(int)
        self._booked: dict[str, int] = {}  # our own adjustments: where they are, Unix ms
        ids = [event.event_id for event in events if self.holds(event)]
        own = {self._id(event) for event in events if self.holds(event)}
        for each in adjustments_of(tenant_id, ids):
            if each.event_id in own:
                self._booked[each.event_id] = each.ts
            else:
                self._cost[each.adjusts] += each.cost
                self._charge[each.adjusts] += each.charge

    def holds(self, event: PastEvent) -> bool:
        """Whether the month of a call is sealed."""
        return event.ts < self._closed_until

    def is_booked(self, event: PastEvent) -> bool:
        """Whether this very re-rating adjusted a call already: what it wrote is then written again, as it should be."""
        return self._id(event) in self._booked

    def standing(self, event: PastEvent, before: Rated, rated: Rated) -> tuple[Rated, Rated]:
        """What a call comes to with its earlier adjustments, and what it should. A price that is known stays."""
        stands: tuple[int | None, int | None] = before.cost, before.charge
        if event.event_id in self._cost:
            stands = (
                (before.cost or 0) + self._cost[event.event_id],
                (before.charge or 0) + self._charge[event.event_id],
            )
        lost = any(was is not None and now is None for was, now in zip(stands, rated[:2], strict=True))
        return Rated(*stands, ""), Rated(*stands, "") if lost else Rated(rated.cost, rated.charge, "")

    def adjustment(self, event: PastEvent, before: Rated, rated: Rated, *, versions: tuple[int, int]) -> UsageEvent:
        """The event that turns what a call comes to into what it should. `versions`: of the prices and overrides."""
        event_id = self._id(event)
        return UsageEvent(
            event_id=event_id,
            ts=self._booked.get(event_id, self._closed_until),
            env=event.env,
            tenant=event.tenant,
            project=event.project,
            key=event.key,
            end_user=event.end_user,
            tags=event.tags,
            tier=event.tier,
            route=event.route,
            provider=event.provider,
            model_asked=event.model_asked,
            model_priced=event.model_priced,
            price_version=versions[0],
            override_version=versions[1],
            cost=usd_string((rated.cost or 0) - (before.cost or 0)),
            charge=usd_string((rated.charge or 0) - (before.charge or 0)),
            kind=ADJUSTMENT,
            adjusts=event.event_id,
            source=event.source,
            service_tier=event.service_tier,
            session=event.session,
            credential=event.credential,
            http_status=event.http_status,
        )

    def _id(self, event: PastEvent) -> str:
        return derived_id(ADJUSTMENT, event.ts, self._tenant, event.event_id, self._job)
