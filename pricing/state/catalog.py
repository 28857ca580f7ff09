"""The catalogue as clients need it, rendered once for each price book and span of equal prices, and kept in memory."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from django.utils import timezone

from changes.models import AuditEvent
from pricing.models import Model, ModelPrice
from pricing.queries import current_book
from pricing.queries_selections import uses_by_price
from wire.prices import ModelPrices, Price, Tiered
from wire.units import UNITS

_DESCRIBING = ("catalogue.described", "model.described")  # the changes of models that make no price book
_MIDNIGHT = time()
_encode = msgspec.json.Encoder().encode


class Entry(NamedTuple):
    """One model: its JSON, and what it is found by."""

    body: bytes
    provider: str
    model: str
    tier: str
    uses: frozenset[str]
    deprecated: bool
    text: str

    def decoded(self) -> dict[str, Any]:
        """What clients are told of the model."""
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found


class Wanted(NamedTuple):
    """Which models are asked for."""

    provider: str = ""
    tier: str = ""
    use: str = ""
    words: tuple[str, ...] = ()
    deprecated: bool = True


class Rendering(NamedTuple):
    """The whole catalogue while nothing of it changes: the same book and facts, and no price begins or ends."""

    state: tuple[Any, ...]
    version: int
    begins: datetime
    ends: datetime
    entries: tuple[Entry, ...]

    def matching(self, wanted: Wanted) -> list[Entry]:
        """The models asked for, by provider and name."""
        return [entry for entry in self.entries if _fits(entry, wanted)]

    def body(self, wanted: Wanted) -> bytes:
        """The models asked for, as a JSON document."""
        found = b",".join(entry.body for entry in self.matching(wanted))
        return b'{"price_version":%d,"currency":"USD","models":[%b]}' % (self.version, found)


_lock = threading.Lock()
_kept: Rendering | None = None


def rendering() -> Rendering:
    """The catalogue at this moment. Two look-ups, unless something changed since it was last asked for."""
    global _kept
    now = timezone.now()
    state = _state()
    kept = _kept
    if kept is not None and kept.state == state and kept.begins <= now < kept.ends:
        return kept
    with _lock:  # of many who ask at once, one renders
        if _kept is None or _kept.state != state or not _kept.begins <= now < _kept.ends:
            _kept = _render(state, now)
        return _kept


def _state() -> tuple[Any, ...]:
    book = current_book()
    described = AuditEvent.objects.filter(kind__in=_DESCRIBING).order_by("-id").values_list("id", flat=True).first()
    return (book.version, book.created_at, described) if book is not None else (0, None, described)


def _render(state: tuple[Any, ...], now: datetime) -> Rendering:
    rows = ModelPrice.objects.filter(last_version=None, model__gone=False).select_related("model")
    entries, edges = [], {_MIDNIGHT}
    for row in rows.order_by("model__provider_id", "model__model_id").iterator(1000):
        prices = row.decoded()
        edges |= {edge for period in prices.periods for edge in period.hours or ()}
        entries.append(_entry(row, row.model, prices, now))
    return Rendering(state, state[0], now, _next(now, edges), tuple(entries))


def _next(now: datetime, edges: set[time]) -> datetime:
    """The next moment at which a price may begin or end: at midnight UTC, or at the edge of some hours."""
    today = now.astimezone(UTC).date()
    moments = (datetime.combine(day, edge, UTC) for day in (today, today + timedelta(days=1)) for edge in edges)
    return min(moment for moment in moments if moment > now)


def _entry(row: ModelPrice, model: Model, prices: ModelPrices, now: datetime) -> Entry:
    uses = uses_by_price(row)
    deprecated = model.deprecated or _is_over(model.deprecated_on, now)
    body = {
        "provider": model.provider_id,
        "model": model.model_id,
        "name": model.name or model.model_id,
        "tier": model.tier or None,
        "uses": uses,
        "context_window": model.context_window,
        "output_most": model.output_most,
        "capabilities": model.capabilities,
        "aliases": model.aliases,
        "deprecated": deprecated,
        "deprecated_on": str(model.deprecated_on) if model.deprecated_on else None,
        "prices": {unit: _price(unit, price) for unit, price in prices.at(now).items()},
    }
    text = " ".join((f"{model.provider_id}/{model.model_id}", model.name, *model.aliases)).lower()
    return Entry(_encode(body), model.provider_id, model.model_id, model.tier, frozenset(uses), deprecated, text)


def _price(unit: str, price: Price) -> dict[str, Any]:
    """USD for a million of a unit, as exact decimal texts."""
    known = UNITS.get(unit)
    shown: dict[str, Any] = {
        "usd_per_million": _per_million(price.base if isinstance(price, Tiered) else price),
        "measure": known.measure.value if known else "",
    }
    if isinstance(price, Tiered):
        shown["context_tiers"] = [
            {"above_tokens": start, "usd_per_million": _per_million(above)} for start, above in price.tiers
        ]
    return shown


def _per_million(pico: int) -> str:
    text = f"{Decimal(pico).scaleb(-6):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_over(day: date | None, now: datetime) -> bool:
    return day is not None and day <= now.astimezone(UTC).date()


def _fits(entry: Entry, wanted: Wanted) -> bool:
    return (
        (not wanted.provider or entry.provider == wanted.provider)
        and (not wanted.tier or entry.tier == wanted.tier)
        and (not wanted.use or wanted.use in entry.uses)
        and (wanted.deprecated or not entry.deprecated)
        and all(word in entry.text for word in wanted.words)
    )
