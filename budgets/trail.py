"""The audit trail's words for budgets."""

from __future__ import annotations

from collections.abc import Collection

from budgets.models import Budget
from changes.trail import Names, Noun, register


def _names(ids: Collection[str]) -> Names:
    return dict(Budget.objects.filter(pk__in=ids).values_list("pk", "name"))


def _find(text: str) -> Collection[str]:
    return list(Budget.objects.filter(name__icontains=text).values_list("pk", flat=True)[:200])


register(
    nouns={"budget": Noun("Budget", _names, _find, fields=("budget",))},
    sentences={
        "budget.archived": "{actor} archived the budget {target}",
        "budget.block_corrected": "{actor} corrected the block of the budget {target}",
        "budget.changed": "{actor} changed the budget {target}",
        "budget.created": "{actor} created the budget {target}",
        "budget.exhausted": "The budget {target} was used up: {after[spent]} of {after[limit]}",
        "budget.raised": "{actor} raised the budget {target}",
        "budget.recovered": "The budget {target} allows spend again: {after[spent]} of {after[limit]}",
    },
)
