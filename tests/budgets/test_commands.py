from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from budgets.models import Budget
from tenants.scope import across_tenants


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_a_budget_is_set_and_then_raised(tenant):
    arguments = ["set_budget", "--tenant", tenant.id, "--name", "First", "--amount"]
    made = json.loads(run(*arguments, "0.0001", "--hard", "--json"))
    assert made["id"].startswith("b_")
    assert (made["amount_micro"], made["enforcement"], made["created"]) == (100, "hard", True)
    assert made["thresholds"] == [50, 80, 100]
    raised = json.loads(run(*arguments, "100", "--thresholds", "60,90", "--envs", "prod", "--json"))
    assert (raised["id"], raised["created"], raised["raised"]) == (made["id"], False, True)
    assert (raised["thresholds"], raised["envs"], raised["enforcement"]) == ([60, 90, 100], ["prod"], "hard")
    assert run(*arguments, "100", "--soft") == f"{made['id']} set: “First”, $100.00 a month, soft.\n"
    with across_tenants("a test counts"):
        assert Budget.objects.count() == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--name", "A", "--amount", "ten"], "not an amount"),
        (["--name", "A", "--amount", "0"], "above zero"),
        (["--name", "A", "--amount", "1", "--thresholds", "x"], "not a threshold"),
        (["--name", "A", "--amount", "1", "--envs", "stage"], "no environment"),
    ],
)
def test_what_cannot_be_set_is_explained(tenant, arguments, says):
    with pytest.raises(CommandError, match=says):
        run("set_budget", "--tenant", tenant.id, *arguments)


def test_an_unknown_tenant_is_named(db):
    with pytest.raises(CommandError, match="no tenant 't_nobody'"):
        run("set_budget", "--tenant", "t_nobody", "--name", "A", "--amount", "1")


def test_a_tick_without_budgets(db):
    tick = json.loads(run("evaluate_budgets", "--once", "--json"))
    assert (tick["evaluated"], tick["error"]) == (0, "")
