"""Tags: names with values, such as `team` = `search`, put on tenants, projects and keys. Pure.

A key's tags go onto each of its calls, so the limits are those of a call's own (`wire.events`).
"""

from __future__ import annotations

from collections.abc import Mapping

from tenants.errors import InvalidSettingError
from wire.events import TAG_NAME_LONGEST, TAG_VALUE_LONGEST, TAGS_MOST


def clean_tags(tags: Mapping[str, str], *, field: str = "tags") -> dict[str, str]:
    """Tags as they are stored: trimmed, by name. Raises InvalidSettingError."""
    found: dict[str, str] = {}
    for given, text in tags.items():
        name, value = given.strip(), text.strip()
        if not name or len(name) > TAG_NAME_LONGEST or not name.isprintable() or "=" in name or "," in name:
            raise InvalidSettingError(
                f"{given[:60]!r} cannot be a tag's name: use 1 to {TAG_NAME_LONGEST} printable characters without = "
                "and commas.",
                field=field,
            )
        if not value or len(value) > TAG_VALUE_LONGEST or not value.isprintable() or "," in value:
            raise InvalidSettingError(
                f"The tag “{name}” cannot have this value: write 1 to {TAG_VALUE_LONGEST} printable characters "
                "without commas.",
                field=field,
            )
        if name in found:
            raise InvalidSettingError(f"The tag “{name}” is given twice: leave one of them out.", field=field)
        found[name] = value
    if len(found) > TAGS_MOST:
        raise InvalidSettingError(f"{len(found)} tags are given: give at most {TAGS_MOST}.", field=field)
    return dict(sorted(found.items()))


def tags_of_text(text: str, *, field: str = "tags") -> dict[str, str]:
    """Tags from what a person writes: one a line, like `team=search`. Raises InvalidSettingError."""
    found: dict[str, str] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, equals, value = line.partition("=")
        if not equals:
            raise InvalidSettingError(
                f"The line {line[:60]!r} is no tag: write a name, = and a value, like team=search.", field=field
            )
        if name.strip() in found:
            raise InvalidSettingError(f"The tag “{name.strip()}” is given twice: leave one of them out.", field=field)
        found[name.strip()] = value.strip()
    return clean_tags(found, field=field)


def text_of_tags(tags: Mapping[str, str]) -> str:
    """What `tags_of_text` reads, for a form."""
    return "\n".join(f"{name}={value}" for name, value in sorted(tags.items()))
