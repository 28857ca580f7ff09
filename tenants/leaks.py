"""Which words of a text may be keys. Pure: nothing is looked up, and no word is kept beyond the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from wire.keys import PATTERN, parse_key

TEXT_MOST = 1024 * 1024  # characters
WORDS_MOST = 50_000

# Maximal runs of what keys are made of, in the narrower alphabet of most systems and in that of base64
_WORDS = re.compile(r"[0-9A-Za-z_\-.]{8,512}")
_BASE64 = re.compile(r"[0-9A-Za-z_\-.~+/]{8,512}={0,2}")


class Words(NamedTuple):
    """What of a text may be a key, each with the lines that it stands in."""

    ours: dict[str, list[int]]  # well-formed keys of SpendOps, with the right checksum
    others: dict[str, list[int]]  # any other word that is long enough
    cut: bool  # whether there were more words than are looked at


def words_of(text: str) -> Words:
    """The words of a text that may be keys."""
    ours: dict[str, list[int]] = {}
    others: dict[str, list[int]] = {}
    cut = False
    for number, line in enumerate(text.splitlines(), start=1):
        for match in PATTERN.finditer(line):
            if parse_key(match[0]) is not None:
                _note(ours, match[0], number)
        for word in () if cut else _runs(line):
            if word not in others and len(others) >= WORDS_MOST:
                cut = True  # our own keys are still looked for: they need no hashing to be told from other words
                break
            _note(others, word, number)
    return Words(ours, others, cut)


def _runs(line: str) -> Iterator[str]:
    """Runs of either alphabet, also without what ends a sentence or begins an option."""
    for pattern in (_WORDS, _BASE64):
        for match in pattern.finditer(line):
            word = match[0]
            yield word
            bare = word.strip(".-/")
            if bare != word and len(bare) >= 8:
                yield bare


def _note(found: dict[str, list[int]], word: str, number: int) -> None:
    lines = found.setdefault(word, [])
    if not lines or lines[-1] != number:
        lines.append(number)
