"""What a tenant's calls use on average, as the comparison of models takes it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from pricing.compare import REQUESTS_MOST, TOKENS_MOST, Mix
from spend.queries.mix import ModelMix


class OwnMix(NamedTuple):
    """The average call of one model, and how many there were; `name` is "" for all models together."""

    name: str
    mix: Mix


def own_mixes(used: Sequence[ModelMix], *, wanted: Collection[tuple[str, str]], most: int) -> list[OwnMix]:
    """The mix of all models, then those of the models (provider, id) that are wanted, then of the others in their
    order, so many models at most. A mix that is beyond what can be compared is cut to it. Empty without any use.
    """
    if not used:
        return []
    first = [each for each in used if (each.provider, each.model) in wanted]
    others = [each for each in used if each not in first]
    shown = [OwnMix(f"{each.provider}/{each.model}", _mix([each])) for each in (*first, *others)[:most]]
    return [OwnMix("", _mix(used)), *shown]


def _mix(used: Sequence[ModelMix]) -> Mix:
    requests = sum(each.requests for each in used)
    tokens = min(_average(sum(each.input for each in used), requests), TOKENS_MOST)
    return Mix(
        input=tokens,
        cached=min(_average(sum(each.cached for each in used), requests), tokens),
        output=min(_average(sum(each.output for each in used), requests), TOKENS_MOST),
        requests=min(requests, REQUESTS_MOST),
    )


def _average(tokens: int, requests: int) -> int:
    """Rounded to a whole token, half up."""
    return (2 * tokens + requests) // (2 * requests)
