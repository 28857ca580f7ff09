"""Filters of the list of requests beyond those of its bar: whatever a view of spend was narrowed to, and its zone."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import available_timezones

from django.http import QueryDict

from spend.exploring.filters import FilterError, Narrowed, filters_of, pairs_of
from spend.exploring.words import Words
from spend.queries.dimensions import label_of
from tenants.http import TenantRequest

_IN_THE_BAR = ("env", "model", "project", "key", "status")  # one value of each


class Chip(NamedTuple):
    """One filter in words, and the address's query without it."""

    label: str
    value: str
    left_out: bool
    query: str


class MoreFilters(NamedTuple):
    """What an address narrows requests to. With a `problem` nothing matches: a filter that is wrong lets nothing in."""

    only: Narrowed
    without: Narrowed
    zone: str
    problem: str
    chips: list[Chip]
    pairs: list[tuple[str, str]]  # as parameters, to be kept when the bar is sent

    @classmethod
    def of(cls, request: TenantRequest, words: Words) -> MoreFilters:
        """Those of a request's address."""
        query, problem = request.GET, ""
        zone = query.get("zone", "")
        if zone and zone not in available_timezones():
            zone, problem = "", "There is no such time zone: write one such as Asia/Kolkata."
        try:
            only, without = filters_of(query)
        except FilterError as error:
            only, without, problem = {}, {}, str(error)
        for name in _IN_THE_BAR:
            if len(only.get(name, ())) == 1 and only[name][0]:
                only.pop(name)
        zone_pair = [("zone", zone)] if zone else []
        return cls(
            only, without, zone, problem, _chips(query, only, without, zone, words), pairs_of(only, without) + zone_pair
        )


def _chips(query: QueryDict, only: Narrowed, without: Narrowed, zone: str, words: Words) -> list[Chip]:
    found = []
    for left_out, chosen in ((False, only), (True, without)):
        for name, values in chosen.items():
            words.learn(name, values)
            for value in values:
                rest = _without(
                    query, *pairs_of({} if left_out else {name: [value]}, {name: [value]} if left_out else {})
                )
                found.append(Chip(label_of(name), words.of(name, value), left_out, rest))
    return [*found, *([Chip("Days in", zone, left_out=False, query=_without(query, ("zone", zone)))] if zone else [])]


def _without(query: QueryDict, *pairs: tuple[str, str]) -> str:
    rest = query.copy()
    for name in ("seen", "before"):
        rest.pop(name, None)
    for name, value in pairs:
        rest.setlist(name, [each for each in rest.getlist(name) if each != value])
    return rest.urlencode(safe=":/")
