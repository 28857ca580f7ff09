"""Whom a call's cost is put down to beside its key: tags and the end user, from headers or from the body itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from gateway.apis.base import UNREADABLE, Body, Shape
from gateway.incoming import Incoming
from wire.events import END_USER_LONGEST, TAG_NAME_LONGEST, TAG_VALUE_LONGEST, TAGS_MOST


class Attribution(NamedTuple):
    """Tags and end user of a call. `warnings` says what was left out, for the answer's `x-spendops-warning`."""

    tags: dict[str, str]
    end_user: str
    warnings: tuple[str, ...] = ()


def attribution(request: Incoming, body: Body, shape: Shape, own: dict[str, str]) -> Attribution:
    """Headers win over the body, the key's own tags (`own`) win over both. What breaks a limit is left out."""
    warnings: list[str] = []
    header = request.header(b"x-spendops-tags")
    metadata = body.get("metadata")
    if header:
        given = _from_header(header, warnings)
    elif isinstance(metadata, dict):
        given = {name: value for name, value in metadata.items() if name != "user_id"}
    else:
        given = {}
    tags = dict(own)
    for name, value in given.items():
        problem = _problem(name, value)
        if not problem and name not in tags and len(tags) >= TAGS_MOST:
            problem = f"more than {TAGS_MOST} tags"
        if problem:
            warnings.append(f"tag dropped: {problem}")
        else:
            tags.setdefault(name, value)
    return Attribution(tags, _end_user(request, body, shape, warnings), tuple(dict.fromkeys(warnings)))


def _from_header(header: str, warnings: list[str]) -> dict[str, Any]:
    """`team=search,env=x`, or a JSON object of texts."""
    if header.startswith("{"):
        try:
            return msgspec.json.decode(header.encode("latin-1"), type=dict[str, Any])
        except UNREADABLE:
            warnings.append("tags dropped: the header is not a JSON object")
            return {}
    tags = {}
    for part in header.split(","):
        name, equals, value = part.partition("=")
        if equals:
            tags[name.strip()] = value.strip()
        elif part.strip():
            warnings.append("tag dropped: not of the form name=value")
    return tags


def _problem(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return "its value is not a text"
    if not name or len(name) > TAG_NAME_LONGEST or not name.isprintable():
        return f"its name is empty, longer than {TAG_NAME_LONGEST} characters or not printable"
    if len(value) > TAG_VALUE_LONGEST or not value.isprintable():
        return f"its value is longer than {TAG_VALUE_LONGEST} characters or not printable"
    return ""


def _end_user(request: Incoming, body: Body, shape: Shape, warnings: list[str]) -> str:
    given: Any = request.header(b"x-spendops-user")
    if not given and shape is Shape.ANTHROPIC:
        metadata = body.get("metadata")
        given = metadata.get("user_id") if isinstance(metadata, dict) else ""
    elif not given:
        given = body.get("user") or body.get("safety_identifier")
    if not given:
        return ""
    if not isinstance(given, str) or len(given) > END_USER_LONGEST or not given.isprintable():
        warnings.append(f"end user dropped: not a printable text of {END_USER_LONGEST} characters at most")
        return ""
    return given
