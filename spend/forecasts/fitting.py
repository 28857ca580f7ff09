"""Fitting a series of days, in a process of its own: `python -m spend.forecasts.fitting` reads tasks and writes paths.

The method is exponential smoothing in state-space form (ETS), fitted by maximum likelihood with statsmodels: a
level that moves, and a week's seasons; of the logarithms, as spend grows and varies in proportion, unless there are
days without any. There is no trend: on simulated histories, growing ones included, a trend made the error larger
and the interval too narrow. Errors are not taken as normal: paths are simulated with the model's own past errors,
drawn anew with a fixed seed, and the interval is what the middle 80 % of the paths come to. With less than four
weeks of history there is no season to be learned: then paths are drawn from the days there were.

These are estimates, so they are computed in floats; what was spent never is. Nothing of Django is loaded here, and
nobody else loads statsmodels: it is 200 MB of a process that ends.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import msgspec

PATHS = 1_000
WEEK = 7
SEASONAL_FROM = 4 * WEEK  # days of history
LEAST = 3
QUANTILES = (0.1, 0.5, 0.9)
_SEED = 20_260_101


CHECK_DAYS = 14


class Task(msgspec.Struct):
    """A series of closed days (USD), the oldest first, and how many days are asked for."""

    values: list[float]
    days: int


class Check(msgspec.Struct):
    """The forecast that would have been made CHECK_DAYS ago for the days since, and what they came to. USD."""

    low: float
    mid: float
    high: float
    actual: float


class Fitted(msgspec.Struct):
    """For each day to come: its middle, and the low, middle and high of the sum from the first to it. USD."""

    method: str  # "ets" or "drawn"
    daily: list[float]
    low: list[float]
    mid: list[float]
    high: list[float]
    check: Check | None = None


def fit(task: Task) -> Fitted:
    """Raises ValueError when there are less than three days."""
    if len(task.values) < LEAST:
        raise ValueError(f"{len(task.values)} days are too few to forecast from.")
    fitted = _fit(task.values, task.days)
    if len(task.values) >= LEAST + CHECK_DAYS:
        then = _fit(task.values[:-CHECK_DAYS], CHECK_DAYS)
        fitted.check = Check(then.low[-1], then.mid[-1], then.high[-1], sum(task.values[-CHECK_DAYS:]))
    return fitted


def _fit(series: list[float], days: int) -> Fitted:
    import numpy

    values = numpy.asarray(series, dtype=float)
    method, paths = "ets", None
    if len(values) >= SEASONAL_FROM and values.std() > 0:
        paths = _smoothed(values, days)
    if paths is None:
        method, paths = "drawn", _drawn(values, days)
    paths = numpy.maximum(paths, 0.0)  # nobody is paid for usage
    sums = numpy.cumsum(paths, axis=0)
    low, mid, high = numpy.quantile(sums, QUANTILES, axis=1)
    daily = numpy.median(paths, axis=1)
    return Fitted(method, daily.tolist(), low.tolist(), mid.tolist(), high.tolist())


def _smoothed(values: Any, days: int) -> Any:
    """Paths (days × PATHS) of an ETS model; None when it cannot be fitted."""
    import numpy
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    logarithms = bool(values.min() > 0)
    series = numpy.log(values) if logarithms else values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its convergence: the fit is judged by what it gives
        try:
            model = ETSModel(series, error="add", trend=None, seasonal="add", seasonal_periods=WEEK)
            result = model.fit(disp=False, maxiter=200)
            # the first weeks' errors are those of finding the season; the rest are small by as much as was fitted
            errors = result.resid[2 * WEEK :] * numpy.sqrt(len(series) / (len(series) - WEEK - 3))
            drawn = numpy.random.RandomState(_SEED).choice(errors, size=(days, PATHS))
            paths = result.simulate(nsimulations=days, anchor="end", repetitions=PATHS, random_errors=drawn)
            paths = numpy.asarray(paths).reshape(days, PATHS)
            paths = numpy.exp(paths) if logarithms else paths
        except (ValueError, FloatingPointError, numpy.linalg.LinAlgError):
            return None
    bound = 20 * values.max()  # a fit that runs away says nothing
    return paths if numpy.isfinite(paths).all() and paths.max() <= bound else None


def _drawn(values: Any, days: int) -> Any:
    """Paths of days that were, with those of the last four weeks only."""
    import numpy

    random = numpy.random.RandomState(_SEED)
    return random.choice(values[-SEASONAL_FROM:], size=(days, PATHS))


def fit_or_none(task: Task) -> Fitted | None:
    """None for a series that cannot be fitted, whatever the reason, so that it does not fail the others."""
    try:
        return fit(task)
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return None


def main() -> None:
    """Read a JSON list of tasks from the standard input, write the list of what was fitted."""
    tasks = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Task])
    sys.stdout.buffer.write(msgspec.json.encode([fit_or_none(task) for task in tasks]))


if __name__ == "__main__":
    main()
