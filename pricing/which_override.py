"""Which override decides for a call, why the others do not, and the prices that come of it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from pricing import figures
from pricing.models import Override
from pricing.queries_overrides import current_overrides
from pricing.render import NoPricesError, pricing_blob
from wire.overrides import OverrideRule, at_ms, fits
from wire.prices import Price, PriceBook

SHOWN_MOST = 20


class Tried(NamedTuple):
    """A rule that was tried, and why it does not decide; "" for the one that does."""

    place: int
    rule: OverrideRule
    override: Override | None
    why_not: str


class UnitPrice(NamedTuple):
    """A unit's list price and what is charged instead; None where there is none."""

    label: str
    per: str
    listed: figures.Row | None
    charged: figures.Row | None


class Decision(NamedTuple):
    """What decides. `tried` are the rules for this provider and model as far as the one that does."""

    model_priced: str  # "" when the catalogue has no price for it
    wins: Tried | None
    tried: tuple[Tried, ...]
    elsewhere: int  # rules before it that are for other providers or models
    left_out: int
    prices: tuple[UnitPrice, ...]


def which_override(tenant_id: str, *, provider: str, model: str, project: str, at: datetime) -> Decision:
    """The rule for a call of a model by its own name, at a moment. Needs the tenant's scope."""
    listed, priced_as = _listed(provider, model, at)
    overrides = current_overrides(tenant_id)
    moment = at_ms(at)
    found = overrides.rule_for(provider=provider, model=priced_as or model, project=project, at_ms=moment)
    tried: list[tuple[int, OverrideRule, str]] = []
    elsewhere = 0
    for place, rule in enumerate(overrides.rules, start=1):
        name = (priced_as or model).lower()
        if not (fits(rule.provider)(provider.lower()) and fits(rule.model)(name)):
            elsewhere += 1
            continue
        tried.append((place, rule, _why_not(rule, project, moment)))
        if rule == found:
            break
    shown = tried if len(tried) <= SHOWN_MOST else [*tried[: SHOWN_MOST - 1], tried[-1]]
    rows = Override.objects.select_related("project").in_bulk([rule.id for _, rule, _ in shown])
    lines = tuple(Tried(place, rule, rows.get(rule.id), why_not) for place, rule, why_not in shown)
    wins = lines[-1] if found is not None else None
    charged = found.priced(listed) if found is not None else listed
    return Decision(priced_as, wins, lines, elsewhere, len(tried) - len(shown), _prices(listed, charged))


def _listed(provider: str, model: str, at: datetime) -> tuple[dict[str, Price], str]:
    try:
        match = PriceBook(pricing_blob(env="", rev=0)).find(provider, model)
    except NoPricesError:
        return {}, ""
    return (match.prices.at(at), match.priced_as) if match is not None else ({}, "")


def _why_not(rule: OverrideRule, project: str, moment: int) -> str:
    if rule.project not in ("", project):
        return "It is for another project."
    if moment < rule.start:
        return "It has not begun by then."
    if rule.end and moment >= rule.end:
        return "It has ended by then."
    return ""


def _prices(listed: dict[str, Price], charged: dict[str, Price]) -> tuple[UnitPrice, ...]:
    known = {row.unit: row for row in figures.rows(listed)}
    return tuple(UnitPrice(row.label, row.per, known.get(row.unit), row) for row in figures.rows({**listed, **charged}))
