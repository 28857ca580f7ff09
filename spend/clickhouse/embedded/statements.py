"""Telling statements apart: what brings rows, what takes blocks, what does neither. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.S)
_INSERT_OF_BLOCKS = re.compile(
    r"INSERT\s+INTO\s+(?:TABLE\s+)?(?P<table>[`\"\w.]+)\s*(?P<columns>\([^)]*\))?\s*"
    r"(?P<settings>SETTINGS\s.+?)?\s*(?:VALUES|FORMAT\s+Native)\s*;?\s*\Z",
    re.I | re.S,
)
_STREAMED = re.compile(r"[\s(]*(?:SELECT|WITH)\b", re.I)
_SMALL = re.compile(r"(?:SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS|CHECK)\b", re.I)
SETTING_NAME = re.compile(r"\A[a-z_0-9]+\Z")


class InsertOfBlocks(NamedTuple):
    """An INSERT whose rows follow as blocks."""

    table: str
    columns: str  # "(a, b)", or "" for all
    settings: str


def without_comments(sql: str) -> str:
    """The statement from its first word on, without its last semicolon."""
    return _COMMENTS.sub("", sql, count=1).rstrip().rstrip(";")


def insert_of_blocks(sql: str) -> InsertOfBlocks | None:
    """The parts of an INSERT that waits for blocks; None for any other statement."""
    match = _INSERT_OF_BLOCKS.match(sql)
    if match is None:
        return None
    return InsertOfBlocks(match["table"], match["columns"] or "", match["settings"] or "")


def brings_stream(sql: str) -> bool:
    """Whether a statement brings rows block by block, after a header."""
    return _STREAMED.match(sql) is not None


def brings_small_answer(sql: str) -> bool:
    """Whether a statement brings one small block and cannot be described beforehand."""
    return _SMALL.match(sql) is not None


def quoted(value: str) -> str:
    """A value as an SQL text."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def identifier(name: str) -> str:
    """A name as a quoted identifier."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
