"""Changes of a sync on their way into a price book: applied, written down, approved or rejected by a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec
from django.db import IntegrityError, transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from pricing.actions.catalogue import BY_HAND
from pricing.actions.publish import Draft, Origin, PricesBusyError, as_json
from pricing.changeset import (
    CHANGED,
    CONFLICT,
    GONE,
    NEW,
    RULES,
    Change,
    Hand,
    interim_rules,
    with_hand_rules,
)
from pricing.history import compose, takes_effect
from pricing.models import HandPrice, Model, ModelPrice, PriceBook, PriceChange, PriceSync, Provider
from tenants.errors import RefusedError, StaleError, StatusError
from wire.prices import ModelPrices, ProviderRules

_NO_RULES = ProviderRules(())


def hands() -> list[Hand]:
    """The models that persons priced."""
    rows = Model.objects.filter(by_hand=True, gone=False).order_by("provider_id", "model_id")
    return [Hand(row.provider_id, row.model_id, row.hand_match) for row in rows]


def approve_sync(*, sync: PriceSync, digest: str, by: Actor) -> PriceBook:
    """Publish what waits of a sync, all of it, effective from today (UTC) unless the source dates it earlier.

    `digest` is that of the changes which the person saw. Raises StatusError when the sync does not wait any more, and
    StaleError when the digest, or what the price book holds, is another one.
    """
    try:
        with transaction.atomic():
            draft = Draft()  # its row is locked first, as a sync does
            return _approve(draft, _waiting(sync, digest), by)
    except IntegrityError as error:
        raise PricesBusyError from error


def reject_sync(*, sync: PriceSync, digest: str, by: Actor, reason: str = "") -> PriceSync:
    """Leave the price book as it is. A later sync does not propose exactly these changes again.

    Raises StatusError and StaleError as `approve_sync` does.
    """
    with transaction.atomic():
        row = _waiting(sync, digest)
        row.changes.filter(status=PriceChange.Status.WAITING).update(status=PriceChange.Status.REJECTED)
        _decide(row, PriceSync.Status.REJECTED, by)
        record(
            "prices.rejected",
            by=by,
            tenant="",
            target_kind="price_sync",
            target_id=str(row.pk),
            after={"digest": digest, "reason": reason[:500]},
        )
    return row


def apply_changes(
    draft: Draft,
    changes: Iterable[Change],
    *,
    origin: Origin,
    urls: Mapping[str, str],
    today: date,
    rest: Sequence[Change] = (),
) -> list[Change]:
    """Bring changes into a price book to come; `rest` waits. Returns them with the days from which they hold."""
    applied = []
    by_hand = hands()
    left = _left() if draft.latest is not None else {}
    for change in changes:
        held = draft.held.get(change.key) or left.get(change.key)
        if change.kind == GONE:
            draft.remove(change.key)
        elif isinstance(change.after, ModelPrices):
            prices, starts = change.after, None
            if held is not None:
                prices, starts = compose(held, change.after, today), takes_effect(held, change.after, today)
            if change.kind == CONFLICT:
                by_hand = [hand for hand in by_hand if (hand.provider, hand.model) != change.key]
                _give_up(change)
            draft.put(change.key, prices, origin._replace(url=urls.get(change.provider, "")))
            change = change._replace(takes_effect=starts)
        applied.append(change)
    for change in applied:
        if change.kind == RULES:
            own = [hand for hand in by_hand if hand.provider == change.provider]
            if isinstance(change.after, ProviderRules) or own:
                listed = change.after if isinstance(change.after, ProviderRules) else _NO_RULES
                draft.rules[change.provider] = with_hand_rules(listed, own)
            else:
                draft.rules.pop(change.provider, None)
    for change in rest:
        if (
            change.kind == RULES
            and isinstance(change.before, ProviderRules)
            and isinstance(change.after, ProviderRules)
        ):
            new = {each.model for each in applied if each.kind == NEW and each.provider == change.provider}
            draft.rules[change.provider] = interim_rules(draft.rules[change.provider], change.after, new)
    return applied


def _left() -> dict[tuple[str, str], ModelPrices]:
    """The last prices that a source gave the models which left the price book: if they come back, they have a past."""
    rows = ModelPrice.objects.filter(model__gone=True).exclude(source=BY_HAND).select_related("model")
    found = {(row.model.provider_id, row.model.model_id): row for row in rows.order_by("first_version")}
    return {key: row.decoded() for key, row in found.items()}


def _give_up(change: Change) -> None:
    """A person's prices give way to the source's. Their rule stays until the source's own rules are published."""
    model = Model.objects.get(provider=change.provider, model_id=change.model)
    Model.objects.filter(pk=model.pk).update(by_hand=False, hand_match=None)
    HandPrice.objects.filter(model=model).delete()  # its versions in past price books stay


def write_changes(
    sync: PriceSync, *, small: Iterable[Change], large: Iterable[Change], urls: Mapping[str, str]
) -> None:
    """Write down each change of a sync, published or waiting."""
    rows = [
        PriceChange(
            sync=sync,
            kind=change.kind,
            status=PriceChange.Status.WAITING if waits else PriceChange.Status.PUBLISHED,
            provider_id=change.provider,
            model_id=change.model,
            before=None if change.before is None else as_json(change.before),
            after=None if change.after is None else as_json(change.after),
            reason=change.reason[:300],
            source_url=urls.get(change.provider, ""),
            basis_points=change.basis_points,
            effective_from=None if waits else change.takes_effect,
        )
        for waits, changes in ((False, small), (True, large))
        for change in changes
    ]
    PriceChange.objects.bulk_create(rows, batch_size=500)


def change_of(row: PriceChange) -> Change:
    """A change as it was compared."""
    kind: type[ProviderRules] | type[ModelPrices] = ProviderRules if row.kind == RULES else ModelPrices
    before, after = (None if each is None else msgspec.convert(each, kind) for each in (row.before, row.after))
    return Change(
        row.kind, row.provider_id, row.model_id, before, after, row.basis_points, row.effective_from, row.reason
    )


def _waiting(sync: PriceSync, digest: str) -> PriceSync:
    row = PriceSync.objects.select_for_update().get(pk=sync.pk)
    if row.status != PriceSync.Status.WAITING:
        raise StatusError(
            f"Change set {row.pk} does not wait any more: it is {PriceSync.Status(row.status).label.lower()}. "
            "Nothing was changed."
        )
    if row.digest != digest:
        raise StaleError("These are not the changes that wait: read them anew. Nothing was changed.")
    return row


def _approve(draft: Draft, row: PriceSync, by: Actor) -> PriceBook:
    now = timezone.now()
    rows = list(row.changes.filter(status=PriceChange.Status.WAITING).order_by("pk"))
    changes = [change_of(each) for each in rows]
    for change in changes:
        if change.kind != RULES and draft.held.get(change.key) != change.before:
            raise StaleError(
                f"The price book holds other prices of {change.provider}/{change.model} than those that were compared: "
                "run manage.py sync_prices, which compares anew. Nothing was changed."
            )
    origin = Origin(row.source, row.source_version)
    urls = {each.provider_id: each.source_url for each in rows}
    applied = apply_changes(draft, changes, origin=origin, urls=urls, today=now.date())
    if not draft.changed:
        raise RefusedError("The price book says all of this already: reject the change set. Nothing was changed.")
    _show(draft, applied)
    book = draft.publish_book(
        "prices.approved",
        origin=origin,
        by=by,
        now=now,
        after={
            "change_set": row.pk,
            "digest": row.digest,
            "new": sum(1 for each in applied if each.kind == NEW),
            "changed": sum(1 for each in applied if each.kind in (CHANGED, CONFLICT)),
            "gone": sum(1 for each in applied if each.kind == GONE),
        },
    )
    for each, change in zip(rows, applied, strict=True):
        each.status = PriceChange.Status.PUBLISHED
        each.effective_from = change.takes_effect
    PriceChange.objects.bulk_update(rows, ["status", "effective_from"], batch_size=200)
    row.book = book
    _decide(row, PriceSync.Status.APPROVED, by)
    return book


def _show(draft: Draft, applied: Sequence[Change]) -> None:
    """The catalogue lists what the price book holds."""
    for change in applied:
        if change.kind in (NEW, GONE):
            Model.objects.filter(provider=change.provider, model_id=change.model).update(gone=change.kind == GONE)
        elif change.kind == CHANGED and isinstance(change.after, ModelPrices):
            Model.objects.filter(provider=change.provider, model_id=change.model).update(
                deprecated=change.after.deprecated
            )
    for provider in {change.provider for change in applied}:
        Provider.objects.filter(id=provider).update(gone=not any(owner == provider for owner, _ in draft.prices))


def _decide(row: PriceSync, status: PriceSync.Status, by: Actor) -> None:
    row.status, row.decided_by, row.decided_at = status, by.id, timezone.now()
    row.save(update_fields=["status", "decided_by", "decided_at", "book"])
