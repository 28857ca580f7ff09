"""Our own form: JSON lines or CSV, one call or one bucket a row. docs/imports.md describes it.

CSV has a column for each unit (`input`, `output`, `cache_read` …); JSON has them in `units`. What a row is, is said by
`id`; without one, by its whole content, and equal rows of one file are as many calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spend.importing.adapters.base import Adapter, Found, grouped, named, one_row
from spend.importing.rows import Record, Row, RowError, fit, identity_of, moment_ms, pico, text, whole
from wire.events import TAG_NAME_LONGEST, TAG_VALUE_LONGEST, TAGS_MOST, Status
from wire.units import UNITS

_KNOWN = {
    "ts", "seconds", "provider", "model", "units", "requests", "cost", "id", "project", "env", "end_user", "tags",
    "service_tier", "session", "upstream_request_id", "status", "http_status", "ttfb_ms", "duration_ms", "streamed",
    "their_key", "their_project",
}  # fmt: skip


def rows(record: Record) -> Iterator[Found]:
    """A record's row."""
    return one_row(record, _row)


def _row(values: Mapping[str, Any]) -> Row:
    known = {name: value for name, value in values.items() if value not in (None, "")}
    counts = known.get("units", {name: known[name] for name in UNITS if name in known and name not in _KNOWN})
    if not isinstance(counts, dict):
        raise RowError('units must be an object such as {"input": 21, "output": 64}.')
    if unknown := sorted(set(known) - _KNOWN - (set(UNITS) if "units" not in known else set())):
        raise RowError(f"There is no column {unknown[0][:60]!r}: docs/imports.md lists them.")
    seconds = whole(known, "seconds")
    row_id = text(known.get("id"))
    status = text(known.get("status")) or Status.OK.value
    if status not in list(Status):
        raise RowError(f"status is {status[:60]!r}: choose one of {', '.join(Status)}.")
    theirs = {"their_key": text(known.get("their_key")), "their_project": text(known.get("their_project"))}
    return Row(
        ts=moment_ms(known.get("ts"), "ts"),
        seconds=seconds,
        provider=text(known.get("provider")).lower(),
        model=text(known.get("model")),
        units={name: count for name in counts if (count := whole(counts, name))},
        calls=whole(known, "requests") if "requests" in known else 1,
        cost=pico(known.get("cost"), "cost"),
        identity=identity_of("id", row_id) if row_id else "",
        shape=grouped("own", seconds, theirs | {"id": row_id}) if seconds else "",
        theirs=named(theirs.items()),
        project=text(known.get("project")),
        env=text(known.get("env")),
        end_user=text(known.get("end_user")),
        tags=_tags(known.get("tags")),
        service_tier=text(known.get("service_tier")),
        session=text(known.get("session")),
        upstream_request_id=text(known.get("upstream_request_id")),
        status=Status(status),
        http_status=whole(known, "http_status") if "http_status" in known else 200,
        ttfb_ms=whole(known, "ttfb_ms"),
        duration_ms=whole(known, "duration_ms"),
        streamed=text(known.get("streamed")).lower() in ("true", "yes", "1"),
    )


def _tags(value: Any) -> dict[str, str]:
    """An object, or a text such as `team=search|stage=beta`."""
    if value is None:
        return {}
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split("|") if part.strip()]
        if any(not sign for _, sign, _ in pairs):
            raise RowError("tags must be written like team=search|stage=beta.")
        value = {name.strip(): content.strip() for name, _, content in pairs}
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise RowError('tags must be an object of texts such as {"team": "search"}.')
    if len(value) > TAGS_MOST or any(
        not name or len(name) > TAG_NAME_LONGEST or len(content) > TAG_VALUE_LONGEST for name, content in value.items()
    ):
        raise RowError(f"There may be {TAGS_MOST} tags, of {TAG_NAME_LONGEST} and {TAG_VALUE_LONGEST} characters.")
    return {fit(name): fit(content) for name, content in value.items()}


ADAPTER = Adapter("file", "Our own format (CSV or JSON lines)", "file", "", "docs/imports.md", rows)
