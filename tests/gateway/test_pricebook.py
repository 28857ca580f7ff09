"""Whenever a gateway looks, the prices in force are those of one version, and never older ones than before."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pricebook import Prices
from tests.gateway.prices import blob, writes
from wire.documents import PRICING_BLOB, PRICING_VERSION
from wire.kv.embedded import EmbeddedKV

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STEPS = st.lists(
    st.one_of(
        st.just(("write", 1)),  # the publisher writes the next of its documents
        st.tuples(st.just("again"), st.integers(1, 4)),  # one that it, or another, sent before comes once more
        st.sampled_from(
            [
                ("read", (PRICING_BLOB,)),
                ("read", (PRICING_VERSION,)),
                ("read", (PRICING_BLOB, PRICING_VERSION)),
                ("read", (PRICING_VERSION, PRICING_BLOB)),
                ("torn", (PRICING_BLOB, PRICING_VERSION)),  # the publisher writes between the two looks
                ("torn", (PRICING_VERSION, PRICING_BLOB)),
                ("swap", ()),
            ]
        ),
    ),
    max_size=60,
)


class Reader:
    """A gateway's prices, fed from a store; what it prepared is put in force later, as on its event loop."""

    def __init__(self, store: EmbeddedKV) -> None:
        self.prices = Prices()
        self._store = store
        self._waiting: list[Callable[[], None]] = []

    def look(self, keys: tuple[str, ...], between: Callable[[], None] = lambda: None) -> None:
        documents = []
        for key in keys:
            documents.append((key, self._store.get(key)))
            between()
        swap = self.prices.prepare(documents)
        if swap is not None:
            self._waiting.append(swap)

    def swap(self) -> None:
        if self._waiting:
            self._waiting.pop(0)()


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_a_reader_that_loads_at_any_moment_never_mixes_versions(steps):
    # each version has its own price, so that a blob under another version's number would show
    publishing = [write for version in range(1, 13) for write in writes(version, factor=version)]
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedKV(Path(folder) / "kv.sqlite3")
        reader, written, seen = Reader(store), 0, 0

        def publish() -> None:
            nonlocal written
            if written < len(publishing):
                store.write([publishing[written]])
                written += 1

        for what, detail in steps:
            if what == "write":
                publish()
            elif what == "again" and written >= detail:
                store.write([publishing[written - detail]])
            elif what == "read":
                reader.look(detail)
            elif what == "torn":
                reader.look(detail, publish)
            elif what == "swap":
                reader.swap()
            book = reader.prices.book
            if book is None:
                continue
            found = book.find("openai", "gpt-4o-mini")
            assert found.prices.at(NOW)["input"] == 150_000 * book.version == 150_000 * reader.prices.version
            assert book.version >= seen, "prices never go back"
            assert publishing[2 * book.version - 2] in publishing[:written], "no prices that were not published"
            seen = book.version
        store.close()


def test_the_order_of_the_documents_decides(tmp_path):
    store = EmbeddedKV(tmp_path / "kv.sqlite3")
    reader = Reader(store)
    first, second = writes(1), writes(2, factor=2)
    store.write(first)
    reader.look((PRICING_BLOB, PRICING_VERSION))
    reader.swap()
    assert reader.prices.version == 1
    store.write(second[:1])  # the blob only
    reader.look((PRICING_BLOB, PRICING_VERSION))
    reader.swap()
    assert reader.prices.version == 1, "a blob alone is not in force"
    store.write(second[1:])
    reader.look((PRICING_VERSION,))
    reader.swap()
    assert reader.prices.version == 2
    assert reader.prices.book.blob.models == blob(2, factor=2).models
    store.close()
