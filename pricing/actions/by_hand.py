"""Prices by hand, for models that no source prices. Each change is a price book of its own at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, NamedTuple

import msgspec
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import IntegrityError, transaction
from django.utils import timezone

from changes.actor import Actor
from pricing.actions.catalogue import BY_HAND
from pricing.actions.changes import hands
from pricing.actions.publish import Draft, Origin, PricesBusyError
from pricing.changeset import book_of, names_in, with_hand_rules
from pricing.models import HandPrice, Model, Provider
from pricing.models import PriceBook as Published
from pricing.sources.base import all_prices
from pricing.typed import Entry, check_names, check_span
from tenants.errors import Fault, ManyRefusedError, RefusedError
from wire.prices import Clause, ModelPrices, PriceBook, PricePeriod, ProviderRules

_ORIGIN = Origin(BY_HAND)
_url = URLValidator(schemes=["https", "http"])


def add_hand_prices(*, entries: Sequence[Entry], faults: Sequence[Fault] = (), by: Actor) -> list[HandPrice]:
    """Give models prices from a UTC day on, for spans that overlap with no other by hand; all of them, or none.

    A day in the past is right: past calls can then be priced anew. `faults` are those of lines that no entry could be
    made of. Raises ManyRefusedError that names them and each entry that cannot be, by its line: when a source prices
    the model, when another model is found by that name, or when spans overlap.
    """
    if not entries and not faults:
        raise RefusedError("There are no prices to add.")
    with _one_book() as draft:
        rows, wrong = [], list(faults)
        shelf: dict[str, _Shelf] = {}
        for entry in entries:
            try:
                rows.append(_add(draft, entry, shelf, by))
            except _FaultError as error:
                wrong.append(Fault(entry.line, error.field, str(error)))
        if wrong:
            raise ManyRefusedError(sorted(wrong, key=lambda fault: fault.line))
        for provider in {row.model.provider_id for row in rows}:
            _put_rules(draft, provider)
        told = [_told(row) for row in rows[:20]]
        _publish(draft, {row.model for row in rows}, by, "added", told, len(rows))
    return rows


def check_hand_prices(*, entries: Sequence[Entry], faults: Sequence[Fault] = (), by: Actor) -> None:
    """What `add_hand_prices` would refuse is refused here, in the same words; nothing is changed or published."""
    with transaction.atomic():
        add_hand_prices(entries=entries, faults=faults, by=by)
        transaction.set_rollback(True)


def add_hand_price(
    *,
    provider: str,
    model: str,
    prices: dict[str, int],
    starts: date,
    ends: date | None = None,
    clause: Clause | None = None,
    source_url: str = "",
    note: str = "",
    by: Actor,
) -> HandPrice:
    """Give one model prices (unit -> pico-USD per unit) for a span of UTC days. Raises RefusedError, with its field."""
    entry = Entry(1, provider, model, clause, prices, starts, ends, source_url, note)
    try:
        return add_hand_prices(entries=[entry], by=by)[0]
    except ManyRefusedError as error:
        fault = error.faults[0]
        raise RefusedError(f"{fault.message} Nothing was changed.", field=fault.field) from error


def change_hand_price(
    *, price: HandPrice, prices: dict[str, int], starts: date, source_url: str = "", note: str = "", by: Actor
) -> HandPrice:
    """Other prices from a day within the span on: the old ones end there. From its first day on, they are corrected.

    Raises RefusedError when the day is not within the span.
    """
    _check_prices(prices)
    _check_words(source_url, note)
    with _one_book() as draft:
        held = _locked(price)
        if starts < held.starts or (held.ends is not None and starts >= held.ends):
            raise RefusedError(
                f"New prices must begin within the days of the old ones: {_span(held)}. Nothing was changed.",
                field="starts",
            )
        before, ends = _told(held), held.ends
        if starts == held.starts:
            held.delete()
        else:
            HandPrice.objects.filter(pk=held.pk).update(ends=starts)
        row = HandPrice.objects.create(
            model=held.model,
            prices=dict(sorted(prices.items())),
            starts=starts,
            ends=ends,
            source_url=source_url,
            note=note,
            created_by=by.id,
        )
        _publish(draft, {row.model}, by, "changed", [_told(row)], 1, before=before)
    return row


def end_hand_price(*, price: HandPrice, ends: date, by: Actor) -> Published:
    """End prices before a day; on their first day they are withdrawn, as if they had never been given.

    A model whose last prices are withdrawn leaves the price book. Raises RefusedError for a day outside the span.
    """
    with _one_book() as draft:
        held = _locked(price)
        if ends < held.starts or (held.ends is not None and ends > held.ends):
            raise RefusedError(
                f"These prices hold {_span(held)}: end them on one of these days. Nothing was changed.",
                field="ends",
            )
        before = _told(held)
        if ends == held.starts:
            held.delete()
        else:
            HandPrice.objects.filter(pk=held.pk).update(ends=ends)
        return _publish(draft, {held.model}, by, "ended", [before | {"ends": str(ends)}], 1, before=before)


class _FaultError(ValueError):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@contextmanager
def _one_book() -> Iterator[Draft]:
    """One transaction with a price book to come. That somebody else made the same version is told in words."""
    try:
        with transaction.atomic():
            yield Draft()
    except IntegrityError as error:
        raise PricesBusyError from error


class _Shelf(NamedTuple):
    """What is there of a provider, read once for all lines of a table."""

    book: PriceBook
    models: dict[str, Model]


def _add(draft: Draft, entry: Entry, shelf: dict[str, _Shelf], by: Actor) -> HandPrice:
    key = entry.provider, entry.model
    try:
        check_names(*key)
        check_span(entry.starts, entry.ends)
        _check_prices(entry.prices)
        _check_words(entry.source_url, entry.note)
    except RefusedError as error:
        raise _FaultError(error.field, error.message) from error
    except ValueError as error:
        raise _FaultError(getattr(error, "field", ""), str(error)) from error
    held = draft.held.get(key)
    if held is not None and draft.origin_of(key) != BY_HAND and any(True for _ in all_prices(held)):
        raise _FaultError(
            "model",
            f"{entry.model} has a price of {draft.origin_of(key)} already. For one tenant's price use an override.",
        )
    if entry.provider not in shelf:
        shelf[entry.provider] = _shelf_of(draft, entry.provider)
    book, models = shelf[entry.provider]
    clause = _clause(book, entry)
    if (model := models.get(entry.model)) is None:
        model = models[entry.model] = _new_model(entry, clause)
    else:
        _take_over(draft, model, clause)
        _refuse_overlap(model, entry)
    return HandPrice.objects.create(
        model=model,
        prices=dict(sorted(entry.prices.items())),
        starts=entry.starts,
        ends=entry.ends,
        source_url=entry.source_url,
        note=entry.note,
        created_by=by.id,
    )


def _clause(book: PriceBook, entry: Entry) -> Clause | None:
    """The clause by which the model is to be found; None when the rules that are there find it."""
    found = book.find(entry.provider, entry.model)
    if entry.clause is None and found is not None and found.model == entry.model:
        return None
    clause = entry.clause or {"equals": entry.model.lower()}
    ((kind, text),) = clause.items()
    names = (
        {text}
        if kind == "equals"
        else {name for name in names_in(book.blob.providers[entry.provider]) if name.lower().startswith(text)}
    )
    for name in sorted(names):
        other = book.find(entry.provider, name)
        if other is not None and other.model != entry.model and any(True for _ in all_prices(other.prices)):
            raise _FaultError("match", f"{name} is priced as {other.model} already: choose a narrower match.")
    return clause


def _shelf_of(draft: Draft, provider: str) -> _Shelf:
    known = {"name": provider, "last_seen": timezone.now()}
    Provider.objects.get_or_create(id=provider, defaults=known)
    Provider.objects.filter(id=provider, gone=True).update(gone=False)
    models = {row.model_id: row for row in Model.objects.filter(provider_id=provider)}
    return _Shelf(book_of(provider, draft.rules.get(provider, ProviderRules(())), draft.held), models)


def _new_model(entry: Entry, clause: Clause | None) -> Model:
    now = timezone.now()
    return Model.objects.create(
        provider_id=entry.provider,
        model_id=entry.model,
        first_seen=now,
        last_seen=now,
        by_hand=True,
        hand_match=clause,
    )


def _take_over(draft: Draft, model: Model, clause: Clause | None) -> None:
    model.by_hand, model.gone = True, False
    if clause is not None and clause != model.hand_match:
        _drop_rule(draft, model)
        model.hand_match = clause
    model.save(update_fields=["by_hand", "gone", "hand_match"])


def _refuse_overlap(model: Model, entry: Entry) -> None:
    overlapping = HandPrice.objects.filter(model=model).exclude(ends__lte=entry.starts)
    if entry.ends is not None:
        overlapping = overlapping.filter(starts__lt=entry.ends)
    if (other := overlapping.first()) is not None:
        raise _FaultError(
            "from",
            f"{entry.model} has prices by hand {_span(other)}: change or end those, or choose other days.",
        )


def _put_rules(draft: Draft, provider: str) -> None:
    rules = draft.rules.get(provider, ProviderRules(()))
    draft.rules[provider] = with_hand_rules(rules, [hand for hand in hands() if hand.provider == provider])


def _drop_rule(draft: Draft, model: Model) -> None:
    """A clause that a person gave, and replaces now."""
    rules = draft.rules.get(model.provider_id)
    if rules is not None:
        kept = tuple(rule for rule in rules.rules if rule != (model.hand_match, model.model_id))
        draft.rules[model.provider_id] = msgspec.structs.replace(rules, rules=kept)


def _publish(
    draft: Draft,
    models: Iterable[Model],
    by: Actor,
    what: str,
    told: list[dict[str, Any]],
    count: int,
    before: dict[str, Any] | None = None,
) -> Published:
    for model in models:
        rows = list(HandPrice.objects.filter(model=model).order_by("starts"))
        key = model.provider_id, model.model_id
        if rows:
            url = next((row.source_url for row in reversed(rows) if row.source_url), "")
            draft.put(key, composed(rows), _ORIGIN._replace(url=url))
            continue
        draft.remove(key)
        Model.objects.filter(pk=model.pk).update(by_hand=False, hand_match=None, gone=True)
    if not draft.changed:
        raise RefusedError("These are the prices that are held already. Nothing was changed.")
    after = {"what": what, "count": count, "prices": told} | ({"was": before} if before else {})
    return draft.publish_book("prices.by_hand", origin=_ORIGIN, by=by, after=after)


def composed(rows: Sequence[HandPrice]) -> ModelPrices:
    """A model's prices from the spans that persons gave it, in their order; outside of them it is unpriced."""
    periods = [PricePeriod({})]
    for row, later in zip(rows, [*rows[1:], None], strict=True):
        periods.append(PricePeriod(dict(row.prices), row.starts))
        if row.ends is not None and (later is None or later.starts > row.ends):
            periods.append(PricePeriod({}, row.ends))
    return ModelPrices(tuple(periods))


def _locked(price: HandPrice) -> HandPrice:
    row = HandPrice.objects.select_for_update().select_related("model").filter(pk=price.pk).first()
    if row is None:
        raise RefusedError("These prices are not there any more. Nothing was changed.")
    return row


def _check_prices(prices: dict[str, int]) -> None:
    if not prices:
        raise RefusedError("Give at least one price. Nothing was changed.", field="prices")


def _check_words(source_url: str, note: str) -> None:
    if source_url:
        try:
            _url(source_url)
        except ValidationError as error:
            raise RefusedError(
                f"{source_url[:60]!r} is not an address: write one such as https://example.com/pricing.",
                field="source_url",
            ) from error
    if len(source_url) > 500 or len(note) > 500:
        raise RefusedError("An address and a note may have 500 characters.", field="note")


def _span(row: HandPrice) -> str:
    return f"from {row.starts}{f' to before {row.ends}' if row.ends else ' on'}"


def _told(row: HandPrice) -> dict[str, Any]:
    """A price as the audit trail keeps it."""
    return {
        "model": str(row.model),
        "prices": row.prices,
        "starts": str(row.starts),
        "ends": str(row.ends) if row.ends else None,
        "source_url": row.source_url,
        "note": row.note,
    }
