"""The units that usage is counted in.

Units of one call are disjoint: a token that was read from a cache is in `cache_read` and not in `input` as well, so
sums over units are true and cost is a plain sum of units times price. A unit that has no price of its own is charged at
that of its fallback: providers publish "input" and list only what differs from it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Measure(StrEnum):
    """What one unit is."""

    TOKEN = "token"
    REQUEST = "request"
    SECOND = "second"
    CHARACTER = "character"
    IMAGE = "image"
    PAGE = "page"
    PIXEL = "pixel"
    MESSAGE = "message"
    SEARCH = "search"
    EXECUTION = "execution"


class Unit(NamedTuple):
    """One countable thing: its name in events, what it measures, and whose price it takes when it has none."""

    name: str
    measure: Measure
    direction: str  # "input", "output" or ""
    fallbacks: tuple[str, ...] = ()
    label: str = ""


_T, _IN, _OUT = Measure.TOKEN, "input", "output"
_MODALITIES = ("text", "audio", "image", "video")


def _tokens_of(modality: str) -> tuple[Unit, ...]:
    """A modality's tokens. Fallbacks go from what says more of the token to what says less."""
    ours_in, ours_out = f"{modality}_in", f"{modality}_out"
    write, plain = f"{modality}_cache_write", ("cache_write", ours_in, "input")
    return (
        Unit(ours_in, _T, _IN, ("input",), f"{modality} input tokens"),
        Unit(ours_out, _T, _OUT, ("output",), f"{modality} output tokens"),
        Unit(f"{modality}_cache_read", _T, _IN, ("cache_read", ours_in, "input"), f"cached {modality} tokens"),
        Unit(write, _T, _IN, plain, f"{modality} cache write tokens"),
        Unit(f"{write}_5m", _T, _IN, (write, "cache_write_5m", *plain), f"{modality} cache write tokens (5 min)"),
        Unit(f"{write}_1h", _T, _IN, (write, "cache_write_1h", *plain), f"{modality} cache write tokens (1 h)"),
        Unit(f"{modality}_tool_in", _T, _IN, ("tool_in", ours_in, "input"), f"{modality} tool input tokens"),
        Unit(f"{modality}_reasoning", _T, _OUT, ("reasoning", ours_out, "output"), f"{modality} reasoning tokens"),
        Unit(f"{modality}_citation", _T, _OUT, ("citation", ours_out, "output"), f"{modality} citation tokens"),
    )


_ALL = (
    Unit("input", _T, _IN, label="input tokens"),
    Unit("output", _T, _OUT, label="output tokens"),
    Unit("cache_read", _T, _IN, ("input",), "cached input tokens"),
    Unit("cache_write", _T, _IN, ("input",), "cache write tokens"),
    Unit("cache_write_5m", _T, _IN, ("cache_write", "input"), "cache write tokens (5 min)"),
    Unit("cache_write_1h", _T, _IN, ("cache_write", "input"), "cache write tokens (1 h)"),
    Unit("tool_in", _T, _IN, ("input",), "tool input tokens"),
    Unit("reasoning", _T, _OUT, ("output",), "reasoning tokens"),
    Unit("citation", _T, _OUT, ("output",), "citation tokens"),
    *(unit for modality in _MODALITIES for unit in _tokens_of(modality)),
    Unit("requests", Measure.REQUEST, "", label="requests"),
    Unit("images", Measure.IMAGE, _OUT, label="images"),
    Unit("audio_seconds", Measure.SECOND, "", label="seconds of audio"),
    Unit("audio_in_seconds", Measure.SECOND, _IN, ("audio_seconds",), "seconds of audio input"),
    Unit("audio_out_seconds", Measure.SECOND, _OUT, ("audio_seconds",), "seconds of audio output"),
    Unit("characters_in", Measure.CHARACTER, _IN, label="input characters"),
    Unit("pixels_in", Measure.PIXEL, _IN, label="input pixels"),
    Unit("pages_in", Measure.PAGE, _IN, label="document pages"),
    Unit("annotated_pages_in", Measure.PAGE, _IN, ("pages_in",), "annotated document pages"),
    Unit("messages_in", Measure.MESSAGE, _IN, label="text messages"),
    Unit("rerank_searches", Measure.SEARCH, "", label="rerank searches"),
    Unit("web_searches", Measure.SEARCH, "", label="web searches"),
    Unit("social_searches", Measure.SEARCH, "", label="social searches"),
    Unit("storage_searches", Measure.SEARCH, "", label="storage searches"),
    Unit("code_executions", Measure.EXECUTION, "", label="code executions"),
)

UNITS: dict[str, Unit] = {unit.name: unit for unit in _ALL}  # in the order in which people read them
INPUT_TOKENS = frozenset(u.name for u in _ALL if u.measure is _T and u.direction == _IN)
OUTPUT_TOKENS = frozenset(u.name for u in _ALL if u.measure is _T and u.direction == _OUT)

# Every call is one request, and few providers charge for that: having no price for it is no gap in the price book.
OPTIONAL = frozenset({"requests"})


def input_tokens(units: dict[str, int]) -> int:
    """All tokens that went in, cached ones included: what context-length tiers are decided by."""
    return sum(count for name, count in units.items() if name in INPUT_TOKENS)


def output_tokens(units: dict[str, int]) -> int:
    """All tokens that came out, reasoning included."""
    return sum(count for name, count in units.items() if name in OUTPUT_TOKENS)
