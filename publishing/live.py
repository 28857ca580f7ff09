"""What stores and gateways say at this moment, asked side by side and never for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

import httpx
import structlog

from wire.kv.base import Entry, StoreRefusedError, StoreUnavailableError
from wire.kv.stores import Store

log = structlog.get_logger(__name__)

GATEWAY_SECONDS = 1.0
STORE_SECONDS = 3.0

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Reading(NamedTuple):
    """What a store holds under a key; `error` says why it is not known."""

    store: Store
    entry: Entry | None
    error: str = ""


class GatewayView(NamedTuple):
    """What an environment's gateway says of itself on its /health; `error` why it says nothing."""

    env: str
    url: str
    status: str = ""
    source: str = ""  # "store", or "last-known-good" while the store cannot be read
    problem: str = ""
    age_ms: int | None = None
    documents: int | None = None
    price_version: int | None = None
    error: str = ""

    @property
    def kind(self) -> str:
        """The status badge's."""
        return {"ok": "ok", "degraded": "warn"}.get(self.status, "bad")


def read_stores(stores: Sequence[Store], key: str) -> list[Reading]:
    """What each store holds under a key. A store that does not answer in time says so, and holds nobody up."""
    return _side_by_side(
        stores,
        lambda store: _read(store, key),
        seconds=STORE_SECONDS,
        late=lambda store: Reading(store, None, f"No answer within {STORE_SECONDS:.0f} s."),
    )


def ask_gateways(urls: dict[str, str]) -> list[GatewayView]:
    """What each environment's gateway says, by the addresses given."""
    return _side_by_side(
        list(urls.items()),
        lambda named: _ask(*named),
        seconds=2 * GATEWAY_SECONDS,
        late=lambda named: GatewayView(*named, error="not reachable"),
    )


def _read(store: Store, key: str) -> Reading:
    try:
        with closing(store.open()) as kv:
            return Reading(store, kv.entry(key))
    except (StoreUnavailableError, StoreRefusedError) as error:
        return Reading(store, None, str(error))
    except Exception as error:  # whatever a store raises: the page shows the others
        log.warning("A store cannot be read", env=store.env, store=store.id, error=repr(error))
        return Reading(store, None, f"It cannot be read: {type(error).__name__}.")


def _ask(env: str, url: str) -> GatewayView:
    try:
        with httpx.Client(timeout=GATEWAY_SECONDS, trust_env=False) as client:
            answer = client.get(f"{url}/health")
            said = answer.json()
    except httpx.HTTPError:
        return GatewayView(env, url, error="not reachable")
    except ValueError:
        said = None
    if not isinstance(said, dict) or said.get("env") != env:
        return GatewayView(env, url, error="what answers there is no gateway of this environment")
    return GatewayView(
        env,
        url,
        status=_text(said.get("status")),
        source=_text(said.get("kv_source")),
        problem=_text(said.get("kv_problem")),
        age_ms=_number(said.get("kv_age_ms")),
        documents=_number(said.get("documents")),
        price_version=_number(said.get("price_version")),
    )


def _text(value: Any) -> str:
    return value[:80] if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _side_by_side(
    asked: Sequence[Asked], ask: Callable[[Asked], Answer], *, seconds: float, late: Callable[[Asked], Answer]
) -> list[Answer]:
    if not asked:
        return []
    pool = ThreadPoolExecutor(max_workers=len(asked), thread_name_prefix="ask")
    try:
        answers = [(each, pool.submit(ask, each)) for each in asked]
        done, _ = wait([answer for _, answer in answers], timeout=seconds)
        return [answer.result() if answer in done else late(each) for each, answer in answers]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
