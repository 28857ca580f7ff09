"""What can be wrong with a document of a store, and a place on disk for however many of these are found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from publishing.guards import code_of
from wire.kv.base import Entry


class Wrong(StrEnum):
    """What is wrong with a document."""

    ABSENT = "absent"
    OLDER = "older"
    OTHER = "other"
    NEWER = "newer"
    ALIVE = "alive"
    FOREIGN = "foreign"
    ORPHAN = "orphan"
    UNSAID = "unsaid"

    @property
    def sentence(self) -> str:
        """In words, for whoever looks at a reconciliation."""
        return _SENTENCES[self]


_SENTENCES = {
    Wrong.ABSENT: "missing in the store",
    Wrong.OLDER: "an older rev in the store",
    Wrong.OTHER: "other content in the store",
    Wrong.NEWER: "a newer rev in the store",
    Wrong.ALIVE: "deleted, and still in the store",
    Wrong.FOREIGN: "in the store, and SQL knows nothing of it",
    Wrong.ORPHAN: "of something that SQL does not have any more",
    Wrong.UNSAID: "changed in SQL, and never rendered",
}


class Difference(NamedTuple):
    """One document that is not as it should be. Two that are equal tell that nothing has changed in between."""

    wrong: Wrong
    key: str
    rev: int = 0  # SQL's, 0 when it has none
    digest: str = ""  # of SQL's body
    held_rev: int = 0  # the store's, 0 when it has none
    held_digest: str = ""
    topic: str = ""  # the object that the document says something of, where that is known
    object_id: str = ""


class Desired(NamedTuple):
    """SQL's side of a document: a KvEntry that was published and has not changed since."""

    key: str
    rev: int
    digest: str  # of the body, "" for a deletion


def judge(desired: Desired | None, held: Entry | None) -> Difference | None:
    """What is wrong with a document, given both sides of it; None when nothing is."""
    if desired is None:
        if held is None or held.deleted:
            return None
        return Difference(Wrong.FOREIGN, held.key, held_rev=held.rev, held_digest=held.digest)
    sides = (desired.key, desired.rev, desired.digest, held.rev if held else 0, held.digest if held else "")
    gone = held is None or held.deleted
    if not desired.digest:
        return None if gone else Difference(Wrong.ALIVE, *sides)
    if held is not None and held.rev > desired.rev:
        return Difference(Wrong.NEWER, *sides)
    if gone:
        return Difference(Wrong.ABSENT, *sides)
    if held is not None and held.rev < desired.rev:
        return Difference(Wrong.OLDER, *sides)
    return None if held is not None and held.digest == desired.digest else Difference(Wrong.OTHER, *sides)


class Found:
    """Differences in a temporary file: there may be as many of them as there are documents."""

    def __init__(self) -> None:
        columns = ", ".join(Difference._fields)
        self._db = sqlite3.connect("", isolation_level=None)  # a file without a name, which goes when it is closed
        self._db.execute(f"CREATE TABLE found ({columns}, again INTEGER DEFAULT 0, PRIMARY KEY (key, wrong))")
        self._db.execute("BEGIN")
        self._insert = f"INSERT OR REPLACE INTO found ({columns}) VALUES ({', '.join('?' * len(Difference._fields))})"  # noqa: S608
        same = " AND ".join(f"{name} = ?" for name in Difference._fields)
        self._mark = f"UPDATE found SET again = 1 WHERE {same}"  # noqa: S608
        self._select = f"SELECT {columns} FROM found"  # noqa: S608

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM found").fetchone()[0])

    def __iter__(self) -> Iterator[Difference]:
        """In the order of their keys."""
        for row in self._db.execute(f"{self._select} ORDER BY key, wrong"):
            yield Difference(Wrong(row[0]), *row[1:])

    def add(self, difference: Difference) -> None:
        """Note what the first look found."""
        self._db.execute(self._insert, difference)

    def see_again(self, difference: Difference) -> None:
        """Note what the second look found: only what is unchanged since the first one counts."""
        self._db.execute(self._mark, difference)

    def forget_others(self) -> None:
        """Drop what only the first look found: it was changing just then."""
        self._db.execute("DELETE FROM found WHERE again = 0")

    def clear(self) -> None:
        """Drop all of it."""
        self._db.execute("DELETE FROM found")

    def count(self, *kinds: Wrong) -> int:
        """How many there are of some kinds."""
        marks = ",".join("?" * len(kinds))
        return int(
            self._db.execute(f"SELECT count(*) FROM found WHERE wrong IN ({marks})", kinds).fetchone()[0]  # noqa: S608
        )

    def examples(self, most: int) -> list[dict[str, str | int]]:
        """The first ones, as they are kept and shown."""
        rows = self._db.execute(f"{self._select} ORDER BY key, wrong LIMIT ?", (most,)).fetchall()
        return [
            {"key": each.key, "what": each.wrong.sentence, "rev": each.rev, "held_rev": each.held_rev}
            for each in (Difference(Wrong(row[0]), *row[1:]) for row in rows)
        ]

    def code(self, *where: str) -> str:
        """The code that confirms exactly these differences at a place."""
        return code_of([*where, *("\0".join(map(str, difference)) for difference in self)])

    def close(self) -> None:
        """Drop the file."""
        self._db.close()
