"""Prices by hand, change sets of syncs, and facts of models. Whoever may see prices reads; platform admins write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router

from changes.actor import Actor
from pricing.actions.by_hand import add_hand_price, add_hand_prices, change_hand_price, end_hand_price
from pricing.actions.catalogue import describe_model
from pricing.actions.changes import approve_sync, reject_sync
from pricing.api.schemas import (
    ChangePage,
    ChangesQuery,
    DecisionIn,
    FactsIn,
    HandPriceChange,
    HandPriceEnd,
    HandPriceIn,
    HandPriceOut,
    HandPricePage,
    ModelOut,
    SyncOut,
    SyncPage,
    TableIn,
    TableOut,
    TypedPrice,
)
from pricing.models import HandPrice, Model, PriceChange, PriceSync
from pricing.queries import current_version, hand_prices, model_by_name, sync_by_id, syncs
from pricing.typed import clause_of, price_from_text, read_table, rows_of_file
from tenants.errors import Fault, ManyRefusedError
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import Paging, page_of
from tenants.frame.problems import ApiProblem
from tenants.gates import may_manage_all
from tenants.http import TenantRequest
from tenants.permissions import Permission

prices = Router(tags=["Prices"])

Id = Annotated[int, Path(ge=0, le=2**53)]


@operation(prices, "GET", "/by-hand", Permission.PRICES_VIEW, answers={200: HandPricePage}, summary="Prices by hand")
def list_hand_prices(request: HttpRequest, paging: Query[Paging]) -> Any:
    """The prices that persons gave, the newest first."""
    return page_of(hand_prices(), paging, _as_it_is, newest_by=("created_at", "id"), salt="hand prices")


@operation(
    prices,
    "POST",
    "/by-hand",
    Permission.PRICES_CHANGE,
    answers={201: HandPriceOut},
    creates=True,
    summary="Price a model by hand",
)
@idempotent
def add_hand_price_to_model(request: HttpRequest, payload: HandPriceIn) -> HttpResponse:
    """For a model that no source prices. It is part of the next price book at once, and no sync takes it away."""
    row = add_hand_price(
        provider=payload.provider,
        model=payload.model,
        clause=clause_of(payload.match, payload.model),
        prices=_prices(payload.prices),
        starts=payload.starts,
        ends=payload.ends,
        source_url=payload.source_url,
        note=payload.note,
        by=_actor(request),
    )
    return created(HandPriceOut.from_orm(row))


@operation(
    prices,
    "POST",
    "/by-hand/table",
    Permission.PRICES_CHANGE,
    answers={201: TableOut},
    creates=True,
    summary="Price models from a table",
)
@idempotent
def add_hand_prices_from_table(request: HttpRequest, payload: TableIn) -> HttpResponse:
    """All lines or none: the answer 422 names every fault, as `18.price` for line 18."""
    table = read_table(rows_of_file(payload.table.encode()))
    rows = add_hand_prices(**table._asdict(), by=_actor(request))
    return created(TableOut(added=len(rows), version=current_version()))


@operation(
    prices,
    "PATCH",
    "/by-hand/{hand_price_id}",
    Permission.PRICES_CHANGE,
    answers={200: HandPriceOut},
    conflicts=True,
    summary="Change a price by hand",
)
def change_hand_price_by_id(request: HttpRequest, hand_price_id: Id, payload: HandPriceChange) -> HandPrice:
    """The old prices end where the new ones begin; the answer is the new one."""
    return change_hand_price(
        price=_hand_price(hand_price_id),
        prices=_prices(payload.prices),
        starts=payload.starts,
        source_url=payload.source_url,
        note=payload.note,
        by=_actor(request),
    )


@operation(
    prices,
    "POST",
    "/by-hand/{hand_price_id}/end",
    Permission.PRICES_CHANGE,
    answers={200: TableOut},
    conflicts=True,
    summary="End a price by hand",
)
def end_hand_price_by_id(request: HttpRequest, hand_price_id: Id, payload: HandPriceEnd) -> TableOut:
    """From then on the model is unpriced, which is not free."""
    book = end_hand_price(price=_hand_price(hand_price_id), ends=payload.ends, by=_actor(request))
    return TableOut(added=0, version=book.version)


@operation(prices, "GET", "/syncs", Permission.PRICES_VIEW, answers={200: SyncPage}, summary="Syncs of prices")
def list_syncs(request: HttpRequest, paging: Query[Paging]) -> Any:
    """What sources proposed and what became of it, the newest first."""
    return page_of(syncs(), paging, _as_it_is, newest_by=("at", "id"), salt="syncs")


@operation(prices, "GET", "/changes", Permission.PRICES_VIEW, answers={200: ChangePage}, summary="Changes of a sync")
def list_changes(request: HttpRequest, narrowed: Query[ChangesQuery]) -> Any:
    """Each model that a sync found new, changed, gone or in conflict, and each provider's rules."""
    rows = PriceChange.objects.filter(sync=narrowed.sync)
    return page_of(rows, narrowed, _as_it_is, newest_by=("id",), salt="changes")


@operation(
    prices,
    "POST",
    "/syncs/{sync_id}/approve",
    Permission.PRICES_CHANGE,
    answers={200: SyncOut},
    conflicts=True,
    summary="Approve the changes that wait",
)
def approve_sync_by_id(request: HttpRequest, sync_id: Id, payload: DecisionIn) -> PriceSync:
    """Publishes all of them, if they are still those of the digest."""
    sync = _sync(sync_id)
    approve_sync(sync=sync, digest=payload.digest, by=_actor(request))
    return _sync(sync_id)


@operation(
    prices,
    "POST",
    "/syncs/{sync_id}/reject",
    Permission.PRICES_CHANGE,
    answers={200: SyncOut},
    conflicts=True,
    summary="Reject the changes that wait",
)
def reject_sync_by_id(request: HttpRequest, sync_id: Id, payload: DecisionIn) -> PriceSync:
    """Nothing is published, and exactly these changes are not proposed again."""
    sync = _sync(sync_id)
    reject_sync(sync=sync, digest=payload.digest, reason=payload.reason, by=_actor(request))
    return _sync(sync_id)


@operation(
    prices, "POST", "/facts", Permission.PRICES_CHANGE, answers={200: ModelOut}, summary="Describe a model by hand"
)
def describe_model_by_name(request: HttpRequest, payload: FactsIn) -> Model:
    """What is set by hand is not changed by syncs."""
    model = model_by_name(payload.provider, payload.model)
    if model is None:
        raise ManyRefusedError([Fault(1, "model", f"There is no {payload.model} of {payload.provider}.")])
    return describe_model(model=model, facts=dict(payload.facts), note=payload.note, by=_actor(request))


def _actor(request: HttpRequest) -> Actor:
    """Who changes prices, which are everybody's: a person of the platform, or a token of every tenant."""
    known = cast(TenantRequest, request)
    if not may_manage_all(known):
        raise ApiProblem(403, "scope_required", "A token of one tenant changes no prices. Nothing was changed.")
    return known.actor


def _as_it_is(row: Any) -> Any:
    """Rows are shown by their schemas, which read them once."""
    return row


def _prices(typed: Sequence[TypedPrice]) -> dict[str, int]:
    found: dict[str, int] = {}
    faults = []
    for number, each in enumerate(typed, start=1):
        try:
            if each.unit in found:
                raise ValueError(f"{each.unit} is priced twice.")
            found[each.unit] = price_from_text(each.unit, each.price, each.per)
        except ValueError as error:
            faults.append(Fault(number, "price", str(error)))
    if faults:
        raise ManyRefusedError(faults)
    return found


def _hand_price(pk: int) -> HandPrice:
    row = hand_prices().filter(pk=pk).first()
    if row is None:
        raise Http404
    return row


def _sync(pk: int) -> PriceSync:
    row = sync_by_id(pk)
    if row is None:
        raise Http404
    return row
