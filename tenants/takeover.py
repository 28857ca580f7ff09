"""Keys of another system, of which only the SHA-256 is known: what a list of them may look like. Pure.

A list is CSV with a line of column names, or JSON lines. Within a field, several values stand with | between them.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time
from hashlib import sha256
from io import StringIO
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tenants.errors import Fault, ManyRefusedError

LINES_MOST = 10_000
COLUMNS = (
    "name",
    "sha256",
    "project",
    "env",
    "expires_at",
    "owner",
    "allowed_models",
    "denied_models",
    "allowed_providers",
    "denied_providers",
    "networks",
    "tier",
    "rpm",
    "tpm",
    "concurrency",
    "tags",
)
LISTS = ("allowed_models", "denied_models", "allowed_providers", "denied_providers", "networks")
LIMITS = ("rpm", "tpm", "concurrency")

_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_NO_CSV = "It cannot be read as CSV: look at its quotes."
_OF_NOTHING = sha256(b"").hexdigest()


class Unreadable(NamedTuple):
    """A line that has no columns to look at, and why."""

    message: str


Row = Mapping[str, Any] | Unreadable


class ListedKey(NamedTuple):
    """One line: whose hash it is, and what `KeySettings` is to be told, but for the project's and the owner's ids."""

    line: int
    digest: bytes
    project: str  # an id or a name, "" for the list's own
    env: str
    owner: str  # an e-mail address
    settings: dict[str, Any]


def read_list(text: str, *, zone: ZoneInfo) -> list[ListedKey]:
    """The keys that a text lists. Raises ManyRefusedError with everything that is wrong with it."""
    given = text.removeprefix("\ufeff")
    rows = _json_rows(given) if given.lstrip().startswith("{") else _csv_rows(given)
    return read_rows(rows, zone=zone)


def read_rows(rows: Iterable[tuple[int, Row]], *, zone: ZoneInfo) -> list[ListedKey]:
    """The same of rows by column, each with its line's number. A day stands for its end in `zone`."""
    found: list[ListedKey] = []
    faults: list[Fault] = []
    first_lines: dict[bytes, int] = {}
    for line, row in rows:
        if len(found) >= LINES_MOST:
            raise ManyRefusedError([Fault(line, "", f"the list is too long: take over at most {LINES_MOST:,} at once")])
        if isinstance(row, Unreadable):
            faults.append(Fault(line, "", row.message))
            continue
        reading = _Reading(line, row, zone)
        listed = reading.listed()
        faults += reading.faults
        earlier = first_lines.setdefault(listed.digest, line) if listed.digest else line
        if earlier != line:
            faults.append(Fault(line, "sha256", f"It is the same as in line {earlier}: leave one of them out."))
        found.append(listed)
    if not found and not faults:
        raise ManyRefusedError([Fault(1, "", "There is no key in this list.")])
    if faults:
        raise ManyRefusedError(faults)
    return found


class _Reading:
    """One line being read; `faults` collects what is wrong with it."""

    def __init__(self, line: int, row: Mapping[str, Any], zone: ZoneInfo) -> None:
        self._line, self._row, self._zone = line, row, zone
        self.faults: list[Fault] = []

    def listed(self) -> ListedKey:
        unknown = sorted(str(name) for name in self._row if name not in COLUMNS)
        if unknown:
            self._fault("", f"There is no column {unknown[0][:40]!r}: the columns are {', '.join(COLUMNS)}.")
        settings: dict[str, Any] = {"name": self._text("name")}
        for name in LISTS:
            settings[name] = self._list(name)
        for name in LIMITS:
            settings[name] = self._number(name)
        settings["tier"] = self._text("tier")
        settings["expires_at"] = self._moment("expires_at")
        settings["tags"] = self._tags()
        return ListedKey(
            self._line, self._digest(), self._text("project"), self._text("env"), self._text("owner"), settings
        )

    def _fault(self, field: str, message: str) -> None:
        self.faults.append(Fault(self._line, field, message))

    def _text(self, name: str) -> str:
        value = self._row.get(name)
        if value is None or isinstance(value, str):
            return (value or "").strip()
        self._fault(name, "Write a text.")
        return ""

    def _digest(self) -> bytes:
        """What stands here is never repeated: somebody may have put the key itself."""
        text = self._text("sha256")
        if not _DIGEST.fullmatch(text):
            self._fault("sha256", "Write the SHA-256 of the key, 64 hexadecimal digits, and never the key itself.")
            return b""
        if text.lower() == _OF_NOTHING:
            self._fault("sha256", "This is the SHA-256 of an empty text, and no key's.")
            return b""
        return bytes.fromhex(text)

    def _list(self, name: str) -> list[str]:
        value = self._row.get(name)
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return value
        if value is None or isinstance(value, str):
            return [part.strip() for part in (value or "").split("|") if part.strip()]
        self._fault(name, "Write texts, with | between them.")
        return []

    def _number(self, name: str) -> int:
        value = self._row.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            return 0
        text = str(value).strip()
        if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) <= 15):
            self._fault(name, "Write a whole number, or leave it empty for no limit.")
            return 0
        return int(text)

    def _moment(self, name: str) -> datetime | None:
        text = self._text(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._fault(name, "Write a day like 2027-06-30 or a moment like 2027-06-30T18:00+02:00.")
            return None
        if len(text) == len("2027-06-30"):
            moment = datetime.combine(moment, time(23, 59, 59))
        return moment if moment.tzinfo else moment.replace(tzinfo=self._zone)

    def _tags(self) -> dict[str, str]:
        value = self._row.get("tags")
        if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
            return value
        if value is not None and not isinstance(value, str):
            self._fault("tags", "Write tags like team=search|stage=beta.")
            return {}
        found = {}
        for part in filter(None, (part.strip() for part in (value or "").replace(";", "|").split("|"))):
            name, equals, text = part.partition("=")
            if not equals or name.strip() in found:
                self._fault("tags", "Write each tag once, like team=search|stage=beta.")
                return {}
            found[name.strip()] = text.strip()
        return found


def _csv_rows(text: str) -> Iterator[tuple[int, Row]]:
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(StringIO(text), delimiter=max(",;\t", key=first.count), strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip().lower() for cell in cells]
                if "sha256" not in names or "name" not in names or len(set(names)) < len(names):
                    raise ManyRefusedError(
                        [
                            Fault(
                                reader.line_num,
                                "",
                                "The first line names the columns, each once, at least name and sha256.",
                            )
                        ]
                    )
                continue
            if len(cells) > len(names):
                yield (
                    reader.line_num,
                    Unreadable(f"It has {len(cells)} fields, and there are {len(names)} columns."),
                )
            else:
                yield reader.line_num, dict(zip(names, cells, strict=False))
    except csv.Error as error:
        if not names:
            raise ManyRefusedError([Fault(reader.line_num, "", _NO_CSV)]) from error
        yield reader.line_num, Unreadable(_NO_CSV)  # nobody knows where the next line begins


def _json_rows(text: str) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield number, row if isinstance(row, dict) else Unreadable("It is no JSON object: write one a line.")
