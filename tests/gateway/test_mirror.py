"""What a gateway knows when its store fails it: emptied, set back, exchanged, away; and the copy that it keeps."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gateway.clock import Clock
from gateway.lastknown import LastKnown
from gateway.mirror import DOUBT_LEAST, PIECE, Document, Mirror
from tests.loops import run as run_apart
from tests.redis import redis_server
from wire.documents import META_ENV
from wire.kv.base import Entry, ReadableKV, StoreRefusedError, Write
from wire.kv.embedded import EmbeddedKV
from wire.kv.redis import RedisKV

LIMIT = 600.0


class MovedClock(Clock):
    """The machine's clocks, moved by hand; `step` is what somebody set the wall clock by."""

    def __init__(self, boot: str = "this boot") -> None:
        super().__init__()
        self.passed = 0.0
        self.step = 0.0
        self._boot = boot

    def elapsed(self) -> float:
        return super().elapsed() + self.passed

    def wall(self) -> float:
        return super().wall() + self.passed + self.step


class Held:
    """A reader that simply holds what it is told."""

    prefixes = ("key:", "tenant:")

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.largest = 0

    def prepare(self, documents: Sequence[Document]) -> Callable[[], None]:
        def apply() -> None:
            self.largest = max(self.largest, len(documents))
            for name, body in documents:
                if body is None:
                    self.documents.pop(name, None)
                else:
                    self.documents[name] = body

        return apply


class Site:
    """A store in a file, and gateways' mirrors of it that share a folder and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "kv.sqlite3"
        self.copy = folder / "last-known.sqlite3"
        self.clock = MovedClock()
        self.store = EmbeddedKV(self.file)
        self.held = Held()

    def claim(self, env: str = "dev") -> None:
        self.store.add(META_ENV, f'{{"schema":1,"env":"{env}"}}'.encode())

    def write(self, rev: int, **documents: bytes | None) -> None:
        self.store.write([Write(f"key:{name}", rev, body) for name, body in documents.items()])

    def known(self) -> dict[str, bytes]:
        return {name.removeprefix("key:"): body for name, body in self.held.documents.items()}

    def replace_store(self) -> None:
        """Another, empty file under the same name."""
        self.remove_store()
        self.store = EmbeddedKV(self.file)

    def remove_store(self) -> None:
        self.store.close()
        for path in self.folder.glob("kv.sqlite3*"):
            path.unlink()

    def mirror(
        self, *, limit: float = LIMIT, env: str = "dev", open_kv: Callable[[], ReadableKV] | None = None
    ) -> Mirror:
        self.held = Held()
        copy = LastKnown(self.copy, env)
        opened = open_kv or (lambda: EmbeddedKV(self.file))
        return Mirror(opened, (self.held,), env=env, limit=limit, copy=copy, clock=self.clock)

    def run(self, scenario: Callable[[Mirror], Awaitable[None]], **options: object) -> None:
        """A gateway's life: it loads, does what the scenario says, and closes."""

        async def live() -> None:
            mirror = self.mirror(**options)  # type: ignore[arg-type]
            mirror.load()
            mirror.start()
            try:
                await scenario(mirror)
            finally:
                await mirror.close()

        run_apart(live())


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something, with a deadline."""
    try:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"{what} did not happen within 10 s")


async def nothing(mirror: Mirror) -> None:
    """A life in which nothing happens."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.claim()
    made.write(1, a=b"a1", b=b"b1", c=b"c1")
    yield made
    made.store.close()


# -- stores that lose things ------------------------------------------------------------------------------------------


def test_a_deletion_is_followed_and_nothing_else_is_lost(site):
    async def scenario(mirror: Mirror) -> None:
        site.write(2, a=b"a2", b=None)
        await mirror.refresh()
        assert site.known() == {"a": b"a2", "c": b"c1"}
        assert (mirror.source, mirror.problem, mirror.doubted) == ("store", "", 0)

    site.run(scenario)


def test_deletions_during_an_outage_are_noticed_after_it(site):
    async def scenario(mirror: Mirror) -> None:
        site.store._db.execute("ALTER TABLE entries RENAME TO away")
        await until(lambda: mirror.source == "last-known-good", "the outage")
        assert mirror.problem == "unreachable"
        site.store._db.execute("ALTER TABLE away RENAME TO entries")
        site.write(2, a=None, b=b"b2")
        await until(lambda: mirror.source == "store", "the end of the outage")
        await until(lambda: site.known() == {"b": b"b2", "c": b"c1"}, "the changes")

    site.run(scenario)


def test_a_store_that_was_emptied_takes_nothing_away_until_it_is_filled_again(site):
    async def scenario(mirror: Mirror) -> None:
        site.replace_store()
        await until(lambda: mirror.problem == "lost", "the loss")
        assert site.known() == {"a": b"a1", "b": b"b1", "c": b"c1"}
        site.claim()
        site.write(7, a=b"a7")  # the publisher begins to write everything anew
        await until(lambda: site.known().get("a") == b"a7", "the first document")
        assert site.known() == {"a": b"a7", "b": b"b1", "c": b"c1"}
        await until(lambda: mirror.source == "store" and mirror.doubted == 2, "the recovery")
        site.write(7, b=b"b7", c=None)
        await until(lambda: site.known() == {"a": b"a7", "b": b"b7"}, "the rest")
        assert mirror.doubted == 0

    site.run(scenario)


def test_what_is_never_confirmed_holds_for_as_long_as_calls_may_go_on_without_kv(site):
    async def scenario(mirror: Mirror) -> None:
        site.replace_store()
        site.claim()
        site.write(7, a=b"a7")
        await until(lambda: mirror.doubted == 2, "the doubt")
        site.clock.passed += LIMIT - 30
        await mirror.refresh()
        assert set(site.known()) == {"a", "b", "c"}
        site.clock.passed += 60
        await until(lambda: site.known() == {"a": b"a7"}, "the end of the doubt")
        assert mirror.doubted == 0

    site.run(scenario)


def test_a_store_that_was_set_back_does_not_bring_back_what_was_taken_away(site):
    """As after a restore of yesterday's copy: of each document the newer rev counts, until it was doubted for long."""
    yesterday = site.folder / "yesterday.sqlite3"
    site.store._db.execute("VACUUM INTO ?", (str(yesterday),))

    async def scenario(mirror: Mirror) -> None:
        site.write(5, a=b"a5: revoked")
        site.write(5, d=b"d5")
        await mirror.refresh()
        site.remove_store()
        yesterday.rename(site.file)
        site.store = EmbeddedKV(site.file)
        await until(lambda: mirror.doubted == 2, "the doubt")
        assert site.known() == {"a": b"a5: revoked", "b": b"b1", "c": b"c1", "d": b"d5"}
        site.write(6, a=b"a6: revoked")
        await until(lambda: site.known()["a"] == b"a6: revoked", "the document that was written anew")
        site.clock.passed += LIMIT + 60
        await until(lambda: "d" not in site.known(), "the end of the doubt")

    site.run(scenario)


def test_a_deletion_outlives_a_store_that_is_put_back_and_a_restart(site):
    """A key that was revoked and whose document is gone stays gone, whatever copy of the store comes back."""
    yesterday = site.folder / "yesterday.sqlite3"
    site.store._db.execute("VACUUM INTO ?", (str(yesterday),))

    async def deleted_and_put_back(mirror: Mirror) -> None:
        site.write(5, a=None)
        await mirror.refresh()
        assert "a" not in site.known()
        site.remove_store()
        yesterday.rename(site.file)
        site.store = EmbeddedKV(site.file)
        site.write(1, z=b"z1")
        await until(lambda: "z" in site.known(), "the look at the store that was put back")
        assert "a" not in site.known()

    async def a_new_life(mirror: Mirror) -> None:
        await until(lambda: "z" in site.known(), "a look")
        assert "a" not in site.known()
        site.write(6, a=b"a6")
        await until(lambda: "a" in site.known(), "a newer rev")

    site.run(deleted_and_put_back)
    site.run(a_new_life)


def test_an_older_rev_is_taken_when_the_store_has_stood_by_it_for_long_enough(site):
    async def scenario(mirror: Mirror) -> None:
        site.write(9, a=b"a9")
        await mirror.refresh()
        site.replace_store()
        site.claim()
        site.write(2, a=b"another history", b=b"b", c=b"c")
        await until(lambda: mirror.doubted == 1, "the doubt")
        assert site.known()["a"] == b"a9"
        site.clock.passed += DOUBT_LEAST + 1
        await until(lambda: site.known()["a"] == b"another history", "the end of the doubt")

    site.run(scenario, limit=0)


def test_what_a_store_tells_is_not_waited_for(site, tmp_path, monkeypatch):
    """A Redis tells of its changes: a mirror that looks by itself only once an hour knows them all the same."""
    monkeypatch.setattr("gateway.mirror.LISTENING_SECONDS", 3600)
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server, closing(RedisKV(server.address, namespace="told")) as store:
        store.add(META_ENV, b'{"schema":1,"env":"dev"}')
        opened = {"open_kv": lambda: RedisKV(server.address, namespace="told")}

        async def scenario(mirror: Mirror) -> None:
            store.write([Write("key:a", 1, b"a1")])
            await until(lambda: "a" in site.known(), "the first document")
            store.write([Write("key:a", 2, b"a2")])
            await until(lambda: site.known()["a"] == b"a2", "the change")

        site.run(scenario, **opened)


def test_another_environments_namespace_is_not_read(site):
    async def scenario(mirror: Mirror) -> None:
        site.replace_store()
        site.claim("prod")
        site.write(9, a=b"prod's")
        await until(lambda: mirror.problem == "lost", "the refusal")
        assert site.known()["a"] == b"a1"

    site.run(scenario)
    with pytest.raises(Exception, match="belongs to prod"):  # and a gateway that knows nothing does not start on it
        Mirror(
            lambda: EmbeddedKV(site.file), (), env="dev", limit=0, copy=LastKnown(site.folder / "no copy", "dev")
        ).load()


def test_a_namespace_whose_owner_is_not_known_any_more_is_not_read(site):
    async def scenario(mirror: Mirror) -> None:
        site.store.write([Write(META_ENV, 2, None), Write("key:a", 2, b"a2")])
        await until(lambda: mirror.problem == "lost", "the loss")
        assert site.known()["a"] == b"a1"
        site.store.write([Write(META_ENV, 3, b'{"schema":1,"env":"dev"}')])
        await until(lambda: mirror.source == "store", "the recovery")
        assert site.known()["a"] == b"a2"

    site.run(scenario)


def test_a_file_that_was_moved_away_is_an_outage_until_it_is_back(site):
    async def scenario(mirror: Mirror) -> None:
        site.store.close()
        for path in sorted(site.folder.glob("kv.sqlite3*")):
            path.rename(path.with_name(f"away-{path.name}"))
        await until(lambda: mirror.source == "last-known-good", "the outage")
        assert site.known() == {"a": b"a1", "b": b"b1", "c": b"c1"}
        for path in sorted(site.folder.glob("away-kv.sqlite3*")):
            path.rename(path.with_name(path.name.removeprefix("away-")))
        site.store = EmbeddedKV(site.file)
        site.write(2, b=b"b2")
        await until(lambda: mirror.source == "store" and site.known()["b"] == b"b2", "the recovery")

    site.run(scenario)


def test_much_at_once_comes_in_pieces_and_is_all_taken(site):
    many = {f"n{number:05d}": b"x" * 50 for number in range(4 * PIECE + 7)}

    async def scenario(mirror: Mirror) -> None:
        site.write(3, **many)
        await mirror.refresh()
        assert site.known() == {"a": b"a1", "b": b"b1", "c": b"c1"} | many
        assert site.held.largest <= PIECE

    site.run(scenario)
    site.run(nothing)
    assert len(site.known()) == len(many) + 3


class Interrupted(EmbeddedKV):
    """A store in which something happens once, while many documents are being read from it."""

    def __init__(self, path: Path, happens: Callable[[], None]) -> None:
        super().__init__(path)
        self._happens: Callable[[], None] | None = happens

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        happens = self._happens
        if happens is not None and len(keys) == PIECE:
            self._happens = None
            happens()
        return super().get_many(keys)


def test_a_revocation_does_not_wait_behind_a_bulk(site):
    order: list[str] = []

    class Noting(Held):
        def prepare(self, documents: Sequence[Document]) -> Callable[[], None]:
            order.extend(f"{name} {body!r}" for name, body in documents)
            return super().prepare(documents)

    async def live() -> None:
        mirror = Mirror(
            lambda: Interrupted(site.file, lambda: site.write(9, a=b"revoked")),
            (Noting(),),
            env="dev",
            limit=LIMIT,
            copy=LastKnown(site.copy, "dev"),
        )
        mirror.load()
        order.clear()
        mirror.start()
        site.write(3, **{f"n{number:05d}": b"x" for number in range(10 * PIECE)})
        await mirror.refresh()
        await mirror.close()

    run_apart(live())
    assert len(order) == 10 * PIECE + 1
    assert order.index("key:a b'revoked'") < 2 * PIECE


# -- age --------------------------------------------------------------------------------------------------------------


def test_a_store_that_answers_and_cannot_be_read_whole_ages_as_one_that_is_away(site):
    """Some pages may be read well: what counts is that all is known. What changed is read all the same."""

    class Torn(EmbeddedKV):
        def list(self, prefix: str, *, after: str = "", most: int = 1000):
            if after:  # the second page
                raise StoreRefusedError("A document is of another type.")
            return super().list(prefix, after=after, most=most)

    mirror = site.mirror()
    mirror.load()
    site.write(2, **{f"n{number:04d}": b"x" for number in range(PIECE + 1)})
    site.write(9, a=b"a9: revoked")
    mirror._open_kv = lambda: Torn(site.file)
    mirror._let_go()
    mirror._compare = True
    for _ in range(3):
        with pytest.raises(StoreRefusedError) as refused:
            mirror._look()
        mirror._failed(refused.value)
        site.clock.passed += LIMIT / 2
    mirror._let_go()
    assert site.known()["a"] == b"a9: revoked"
    assert mirror.age >= LIMIT
    assert mirror.expired


def test_calls_go_on_for_the_limit_of_age_and_no_longer(site):
    async def scenario(mirror: Mirror) -> None:
        site.clock.passed += 10 * LIMIT
        await mirror.refresh()
        await until(lambda: mirror.age < 5, "a look")
        assert not mirror.expired  # time that passes while KV answers is no age
        site.store._db.execute("ALTER TABLE entries RENAME TO away")
        await until(lambda: mirror.stale, "the outage")
        site.clock.passed += LIMIT - 60
        assert (mirror.stale, mirror.expired) == (True, False)
        site.clock.step -= 86400  # somebody sets the wall clock back
        assert LIMIT - 60 <= mirror.age < LIMIT - 30
        site.clock.passed += 60
        assert mirror.expired
        site.store._db.execute("ALTER TABLE away RENAME TO entries")
        await until(lambda: not mirror.expired, "the recovery")

    site.run(scenario)


def test_with_a_limit_of_nought_calls_end_as_soon_as_kv_is_away(site):
    async def scenario(mirror: Mirror) -> None:
        assert not mirror.expired
        site.store._db.execute("ALTER TABLE entries RENAME TO away")
        await until(lambda: mirror.expired, "the end")
        site.store._db.execute("ALTER TABLE away RENAME TO entries")
        await until(lambda: not mirror.expired, "the recovery")

    site.run(scenario, limit=0)


# -- the local copy ---------------------------------------------------------------------------------------------------


def out_of_order(site: Site) -> None:
    """KV can be opened no more: something else lies where its file was."""
    site.remove_store()
    site.file.write_bytes(b"this is no database" * 100)


def test_a_gateway_starts_from_its_copy_while_kv_is_away(site):
    async def change(mirror: Mirror) -> None:
        site.write(2, b=None, c=b"c2")
        await mirror.refresh()

    site.run(change)
    assert stat.S_IMODE(site.copy.stat().st_mode) == 0o600
    out_of_order(site)
    site.clock.passed += 100

    async def away(mirror: Mirror) -> None:
        assert site.known() == {"a": b"a1", "c": b"c2"}
        assert (mirror.source, mirror.expired) == ("last-known-good", False)
        assert 100 <= mirror.age < 160
        site.file.unlink()
        site.store = EmbeddedKV(site.file)
        site.claim()
        site.write(3, a=b"a3")
        await until(lambda: mirror.source == "store" and site.known()["a"] == b"a3", "the recovery")

    site.run(away)
    site.store.close()


def test_a_copy_of_an_emptied_store_counts_too(site):
    """The store answers, so that a gateway that knew nothing else would refuse every key."""
    site.run(nothing)
    site.replace_store()

    async def lost(mirror: Mirror) -> None:
        assert set(site.known()) == {"a", "b", "c"}
        assert mirror.problem == "lost"

    site.run(lost)


def test_without_kv_and_without_a_copy_a_gateway_does_not_start(site):
    out_of_order(site)
    with pytest.raises(StoreRefusedError):
        site.mirror().load()


@pytest.mark.parametrize(
    ("boot", "step", "passed", "expired", "age"),
    [
        ("this boot", 0, 500, False, 500),
        ("this boot", 0, 700, True, 700),
        ("this boot", -86400, 500, False, 500),  # within one run of the machine the wall clock does not matter
        ("this boot", 86400, 500, False, 500),
        ("another boot", 0, 500, False, 500),
        ("another boot", 86400, 500, True, 86900),
        ("another boot", -86400, 500, True, None),  # from the future: nobody knows how old it is
    ],
)
def test_the_age_of_a_copy(site, boot, step, passed, expired, age):
    site.run(nothing)
    out_of_order(site)
    site.clock = MovedClock(boot)
    site.clock.step, site.clock.passed = step, passed

    async def scenario(mirror: Mirror) -> None:
        await until(lambda: mirror.stale, "the outage")
        assert mirror.expired is expired
        assert mirror.age == float("inf") if age is None else age <= mirror.age < age + 30
        assert set(site.known()) == {"a", "b", "c"}  # it is kept in any case, for when KV is back

    site.run(scenario)


def damaged(site: Site) -> None:
    data = bytearray(site.copy.read_bytes())
    data[100:2000] = b"\xff" * 1900
    site.copy.write_bytes(data)


def changed(site: Site) -> None:
    with closing(sqlite3.connect(site.copy)) as db, db:
        db.execute("UPDATE documents SET body = 'a1: with more rights' WHERE key = 'key:a'")


def of_another_environment(site: Site) -> None:
    with closing(sqlite3.connect(site.copy)) as db, db:
        db.execute("UPDATE about SET env = 'prod'")


def of_another_form(site: Site) -> None:
    with closing(sqlite3.connect(site.copy)) as db, db:
        db.execute("PRAGMA user_version = 99")


def empty(site: Site) -> None:
    site.copy.write_bytes(b"")


@pytest.mark.parametrize("harm", [damaged, changed, of_another_environment, of_another_form, empty])
def test_a_copy_that_cannot_be_trusted_is_not_used_and_is_made_anew(site, harm):
    site.run(nothing)
    harm(site)
    out_of_order(site)
    with pytest.raises(StoreRefusedError):  # as if there were none
        site.mirror().load()
    site.file.unlink()
    site.store = EmbeddedKV(site.file)
    site.claim()
    site.write(1, a=b"a1", b=b"b1", c=b"c1")
    site.run(nothing)
    out_of_order(site)
    site.run(nothing)
    assert site.known() == {"a": b"a1", "b": b"b1", "c": b"c1"}


def test_a_copy_that_cannot_be_written_stops_nobody(site):
    site.copy.mkdir()

    async def scenario(mirror: Mirror) -> None:
        site.write(2, a=b"a2")
        await mirror.refresh()
        assert site.known()["a"] == b"a2"

    site.run(scenario)


def test_of_two_gateways_with_one_copy_the_one_that_is_behind_undoes_nothing(site):
    ahead, behind = LastKnown(site.copy, "dev"), LastKnown(site.copy, "dev")
    older = {"key:a": site.store.entry("key:a")}
    site.write(2, a=b"a2")
    newer = {"key:a": site.store.entry("key:a")}
    site.run(nothing)
    source = ahead.read().source
    assert ahead.write(newer, source)
    assert behind.write(older, source)
    assert {entry.key: entry.body for entry in behind.read().entries}["key:a"] == b"a2"
    ahead.close()
    behind.close()
