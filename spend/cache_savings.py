"""What reading from providers' caches saved: the tokens that were read, at the price of input less that of reading.

Each call is priced by the price book that it was priced by when it was made, at its own time and length of context, so
the saving is exact, as the cost is. What has no price, or whose book is not there any more, is told apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from spend.queries.cached_reads import CachedReads, ReadName, cached_reads, names_that_read
from spend.queries.slices import Slice
from spend.rerating.price import Rater
from spend.rerating.run import price_book
from spend.what_if import lengths_of, turns_of
from spend.zones import calendar, calendar_of, moment_of
from wire.cost import price_for
from wire.prices import Match, Price, Tiered, context_of
from wire.units import UNITS

_READ = "cache_read"  # also the end of the names of modalities' units


class CacheSavings(NamedTuple):
    """Pico-USD at the providers' list prices. Tokens whose prices are not known are in no amount."""

    saved: int
    tokens: int
    unknown_tokens: int


def cache_savings(tenant_id: str, of: Slice) -> CacheSavings:
    """What a slice's calls saved. Raises ClickHouseError, and ValueError for what cannot be asked."""
    names = names_that_read(tenant_id, of)
    if not names:
        return CacheSavings(0, 0, 0)
    days = calendar(of.zone) if of.zone else calendar_of(tenant_id)
    begin, end = days.bounds(of.first, of.last)
    raters = {version: _rater(version) for version in sorted({name.price_version for name in names})}
    matches = {name: _match(raters[name.price_version], name) for name in names}
    lists = [match.prices for match in matches.values() if match is not None]
    moments = {begin} | {at for prices in lists for at in turns_of(prices, begin, end) if begin <= at < end}
    lengths = {0} | {length for prices in lists for length in lengths_of(prices)}
    found = cached_reads(tenant_id, of, moments=sorted(moments), lengths=sorted(lengths))
    return _together(_saved(each, matches.get(each.name)) for each in found)


def _match(rater: Rater | None, name: ReadName) -> Match | None:
    return rater.match(*name) if rater is not None and name.model_priced else None


def _saved(reads: CachedReads, match: Match | None) -> CacheSavings:
    tokens = sum(reads.units.values())
    if match is None:
        return CacheSavings(0, tokens, tokens)
    listed = match.prices.at(moment_of(reads.since), context_of(reads.service_tier))
    saved = unknown = 0
    for name, count in reads.units.items():
        paid = price_for(name, listed)
        plain = [each for each in UNITS[name].fallbacks if not each.endswith(_READ)] if name in UNITS else []
        instead = next((listed[each] for each in plain if each in listed), None)
        if paid is None or instead is None:
            unknown += count
        else:
            saved += count * (_at(instead, reads.context) - _at(paid[1], reads.context))
    return CacheSavings(saved, tokens, unknown)


def _at(price: Price, context: int) -> int:
    return price.at(context) if isinstance(price, Tiered) else price


def _together(found: Iterable[CacheSavings]) -> CacheSavings:
    each = list(found)
    return CacheSavings(*(sum(column) for column in zip(*each, strict=True))) if each else CacheSavings(0, 0, 0)


def _rater(version: int) -> Rater | None:
    """The prices of a version; None for one that is not there."""
    book = price_book(version)
    return Rater(book, price_book) if book is not None else None
