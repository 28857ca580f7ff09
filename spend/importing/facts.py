"""What files say, as it is kept: the table `imported_usage`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from spend.clickhouse.client import ask, insert
from spend.queries.filters import Conditions
from wire.events import UsageEvent
from wire.money import pico_from_usd_string

_PAGE = 5_000
_IDS_AT_ONCE = 2_000
KEY = "import:"  # what stands for a key: "import:openai"


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a file, priced: the event that it is when nothing of it passed the gateway."""

    event: UsageEvent
    seconds: int = 0
    shape: str = ""
    pool: str = ""
    own_cost: bool = False  # the cost is the provider's own
    counted: bool = True  # the file says how many calls there were
    context: int = 0
    price_version: int = (
        0  # the book that it is priced by, also where the event names none as its cost is the provider's
    )
    rev: int = 1
    import_id: str = ""
    withdrawn: bool = False

    @property
    def weight(self) -> tuple[int, int, int, bytes]:
        """Of two states of the same row the heavier one is the later: buckets of the present only grow."""
        event = self.event
        own = pico_from_usd_string(event.cost) if self.own_cost and event.cost else -1
        return event.calls, sum(event.units.values()), own, _encode(event.units)


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Fact).decode


def insert_facts(facts: Sequence[Fact]) -> None:
    """Keep facts; of each the highest rev counts. Raises ClickHouseError."""
    columns: dict[str, list[Any]] = {
        "event_id": [each.event.event_id for each in facts],
        "rev": [each.rev for each in facts],
        "ts": [each.event.ts for each in facts],
        "seconds": [each.seconds for each in facts],
        "tenant_id": [each.event.tenant for each in facts],
        "key_id": [each.event.key for each in facts],
        "source": [each.event.source for each in facts],
        "import_id": [each.import_id for each in facts],
        "shape": [each.shape for each in facts],
        "pool": [each.pool for each in facts],
        "provider": [each.event.provider for each in facts],
        "upstream_request_id": [each.event.upstream_request_id for each in facts],
        "withdrawn": [each.withdrawn for each in facts],
        "event": [_encode(each).decode() for each in facts],
    }
    insert("imported_usage", columns, purpose="keep imported usage")


def facts_by_id(tenant_id: str, event_ids: Sequence[str], begin: int, end: int) -> dict[str, Fact]:
    """Facts by their ids, which lie in the moments from `begin` to `end`, both included (Unix ms)."""
    found: dict[str, Fact] = {}
    for first in range(0, len(event_ids), _IDS_AT_ONCE):
        where = Conditions().arrived(begin, end + 1)
        where.add("event_id IN %(ids)s", ids=tuple(event_ids[first : first + _IDS_AT_ONCE]))
        found |= {fact.event.event_id: fact for fact in _asked(tenant_id, where)}
    return found


def buckets_in(tenant_id: str, begin: int, end: int) -> list[Fact]:
    """The buckets that begin from `begin` on and before `end`."""
    return list(_paged(tenant_id, Conditions().arrived(begin, end).add("seconds > 0")))


def calls_in(tenant_id: str, begin: int, end: int) -> Iterator[list[Fact]]:
    """The single calls that arrived from `begin` on and before `end`, and can be told from others by the provider."""
    where = Conditions().arrived(begin, end).add("seconds = 0 AND upstream_request_id != ''")
    return _pages(tenant_id, where)


def facts_of_import(tenant_id: str, import_id: str, begin: int, end: int) -> Iterator[list[Fact]]:
    """What an import brought, page by page: what is withdrawn by now as well."""
    where = Conditions().arrived(begin, end + 1).add("import_id = %(import)s", **{"import": import_id})
    return _pages(tenant_id, where)


def shapes_in(tenant_id: str, source: str, begin: int, end: int) -> list[tuple[int, str]]:
    """The days (their first moment in UTC, Unix ms) and shapes of a source's buckets that stand."""
    where = Conditions().arrived(begin, end).equal(source=source).add("seconds > 0 AND NOT withdrawn")
    sql = (
        "SELECT DISTINCT intDiv(toUnixTimestamp64Milli(ts), 86400000) * 86400000 AS day, shape"  # noqa: S608
        f" FROM imported_usage FINAL WHERE {where} ORDER BY day, shape"
    )
    return [(day, shape) for day, shape in ask(sql, where.parameters, tenant_id=tenant_id, purpose="imported buckets")]


def _paged(tenant_id: str, where: Conditions) -> Iterator[Fact]:
    for page in _pages(tenant_id, where):
        yield from page


def _pages(tenant_id: str, where: Conditions) -> Iterator[list[Fact]]:
    after = ""
    while True:
        more = f" AND event_id > toUUID('{after}')" if after else ""
        page = _asked(tenant_id, where, f"{more} ORDER BY event_id LIMIT {_PAGE}")
        if page:
            yield page
        if len(page) < _PAGE:
            return
        after = page[-1].event.event_id


def _asked(tenant_id: str, where: Conditions, rest: str = "") -> list[Fact]:
    sql = f"SELECT event FROM imported_usage FINAL WHERE {where}{rest}"  # noqa: S608 - our own SQL
    rows = ask(sql, where.parameters, tenant_id=tenant_id, purpose="imported usage")
    return [_decode(row[0]) for row in rows]


def moments(facts: Iterable[Fact]) -> tuple[int, int]:
    """The first and the last moment of some facts."""
    times = [fact.event.ts for fact in facts]
    return min(times), max(times)
