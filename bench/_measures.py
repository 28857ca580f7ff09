"""What the benchmarks share: waiting for a condition, quantiles, the form of a measurement."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], bool], seconds: float = 30, *, every: float = 0.002) -> float:
    """Wait for a condition; how long it took, in seconds. Raises TimeoutError."""
    started = time.perf_counter()
    while not condition():
        if time.perf_counter() - started > seconds:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(every)
    return time.perf_counter() - started


def quantile(values: list[float], share: float) -> float:
    """The value below which a share of all values lies."""
    return statistics.quantiles(sorted(values), n=100, method="inclusive")[round(share * 100) - 1]


def baseline(name: str, value: float) -> dict[str, Any]:
    """What a measurement was compared with in the same run."""
    return {"name": name, "value": round(value, 4)}


def line(metric: str, value: float, unit: str, compared: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A measurement as it is printed."""
    return {"metric": metric, "value": round(value, 4), "unit": unit, "baseline": compared} | more
