from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from budgets.evaluator import evaluate
from budgets.models import Budget
from budgets.queries import tenant_block
from tenants.scope import across_tenants
from tests.budgets.making import Ledger, make_budget

FORM = {"name": "First", "amount": "0.0001", "enforcement": "hard", "thresholds": "50, 80, 100"}


@pytest.fixture
def used_up(admin_client):
    budget = make_budget(admin_client.tenant)
    evaluate(read=Ledger({budget.id: 124_650_000}, data_to=timezone.now()))
    return budget


def only_budget() -> Budget:
    with across_tenants("a test looks"):
        return Budget.objects.get()


def test_a_budget_is_set_in_the_browser(admin_client):
    empty = admin_client.get(reverse("budgets:list"))
    assert "No budgets yet" in empty.content.decode()
    form = admin_client.get(reverse("budgets:new")).content.decode()
    assert "0 active keys in dev and 0 active keys in prod" in form
    answer = admin_client.post(reverse("budgets:new"), FORM | {"envs": ["prod"]})
    budget = only_budget()
    assert answer["Location"] == reverse("budgets:budget", args=[budget.id])
    assert (budget.amount_micro, budget.envs, budget.enforcement) == (100, ["prod"], "hard")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("amount", "ten", "is not an amount"),
        ("amount", "0", "above zero"),
        ("name", "", "Write a name"),
        ("thresholds", "50, many", "is not a threshold"),
        ("enforcement", "", "Choose what happens"),
    ],
)
def test_what_cannot_be_set_comes_back_with_what_was_typed(admin_client, field, value, says):
    answer = admin_client.post(reverse("budgets:new"), FORM | {field: value})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert says in page
    assert 'value="50, 80, 100"' in page or field == "thresholds"
    with across_tenants("a test looks"):
        assert not Budget.objects.exists()


def test_the_list_says_how_each_stands_and_what_happens(admin_client, used_up):
    page = admin_client.get(reverse("budgets:list")).content.decode()
    assert "$0.00012465</span> of $0.0001" in page
    assert "124% used" in page
    assert "Refusing calls" in page
    assert "all calls are refused with 402" in page
    assert "of the period gone" in page
    assert "style=" not in page


def test_a_budgets_page_tells_its_story(admin_client, used_up):
    page = admin_client.get(reverse("budgets:budget", args=[used_up.id])).content.decode()
    for words in ("100% used", "Used up", "with the higher one", "Reached in the same moment", "Raise or change"):
        assert words in page
    assert "style=" not in page


def test_the_live_part_is_silent_until_something_changes(admin_client, used_up):
    response = admin_client.get(reverse("budgets:budget", args=[used_up.id]))
    seen = response.context["seen"]
    live = reverse("budgets:figures", args=[used_up.id])
    assert admin_client.get(f"{live}?seen={seen}").status_code == 204
    evaluate(read=Ledger({used_up.id: 130_000_000}, data_to=timezone.now()))
    assert "$0.00013" in admin_client.get(f"{live}?seen={seen}").content.decode()


def test_the_panel_is_a_fragment(admin_client, used_up):
    page = admin_client.get(reverse("budgets:panel")).content.decode()
    assert "<html" not in page
    assert "First" in page
    assert "124%" in page


def test_a_raise_needs_a_passkey_for_exactly_these_fields(admin_client, used_up):
    path = reverse("budgets:edit", args=[used_up.id])
    raised = FORM | {"amount": "100", "version": "1"}
    assert admin_client.post(path, raised).status_code == 403
    assert only_budget().amount_micro == 100
    answer = admin_client.confirmed_post(path, raised)
    assert answer.status_code == 302
    assert only_budget().amount_micro == 100_000_000
    assert tenant_block(admin_client.tenant.id, "dev") is None
    page = admin_client.get(answer["Location"]).content.decode()
    assert "Calls pass again within a second." in page
    # the confirmation was good for one answer
    assert admin_client.post(path, raised | {"amount": "200", "version": "2"}).status_code == 403


def test_a_form_that_is_older_than_the_budget_is_refused(admin_client, used_up):
    path = reverse("budgets:edit", args=[used_up.id])
    admin_client.confirmed_post(path, FORM | {"amount": "100", "version": "1"})
    answer = admin_client.confirmed_post(path, FORM | {"amount": "5", "version": "1"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "changed after you opened it" in page
    assert "It says now: 100.00." in page
    assert only_budget().amount_micro == 100_000_000
    form = answer.context["form"]
    assert form["amount"].value() == "5"
    # having seen what stands there, the person may send it again
    assert form["version"].value() == "2"
    assert admin_client.confirmed_post(path, FORM | {"amount": "5", "version": "2"}).status_code == 302
    assert only_budget().amount_micro == 5_000_000


def test_of_two_who_change_a_budget_neither_undoes_the_other(admin_client, used_up):
    path = reverse("budgets:edit", args=[used_up.id])
    form = admin_client.get(path).context["form"]
    opened = {name: form[name].value() for name in form.fields}
    opened["thresholds"] = "50,80, 100"  # the same, written otherwise
    admin_client.confirmed_post(path, opened | {"amount": "250", "envs": ["dev"]})
    answer = admin_client.confirmed_post(path, opened | {"name": "Mine"})
    assert answer.status_code == 422
    assert answer.content.decode().count("changed this meanwhile. It said: ") == 2
    form = answer.context["form"]
    assert set(form.errors) == {"__all__"}
    again = {name: form[name].value() for name in form.fields}
    assert admin_client.confirmed_post(path, again).status_code == 302
    found = only_budget()
    assert (found.name, found.amount_micro, found.envs) == ("Mine", 250_000_000, ["dev"])


def test_an_archived_budget_offers_no_form(admin_client, used_up):
    admin_client.confirmed_post(reverse("budgets:archive", args=[used_up.id]), {})
    answer = admin_client.get(reverse("budgets:edit", args=[used_up.id]))
    assert answer["Location"] == reverse("budgets:budget", args=[used_up.id])
    assert "is archived and cannot be changed" in admin_client.get(answer["Location"]).content.decode()


def test_archiving_needs_a_passkey_and_lifts_the_block(admin_client, used_up):
    path = reverse("budgets:archive", args=[used_up.id])
    assert admin_client.post(path).status_code == 403
    assert admin_client.get(path).url == reverse("budgets:budget", args=[used_up.id])
    assert only_budget().status == "active"
    answer = admin_client.confirmed_post(path, {})
    assert answer["Location"] == reverse("budgets:list")
    assert tenant_block(admin_client.tenant.id, "dev") is None
    page = admin_client.get(reverse("budgets:list")).content.decode()
    assert "Archived" in page


def test_another_tenants_budget_is_nowhere(admin_client, stranger):
    theirs = make_budget(stranger, name="Secret plan")
    for name in ("budget", "figures", "edit"):
        assert admin_client.get(reverse(f"budgets:{name}", args=[theirs.id])).status_code == 404
    for name in ("edit", "archive"):
        data = FORM if name == "edit" else {}
        assert admin_client.confirmed_post(reverse(f"budgets:{name}", args=[theirs.id]), data).status_code == 404
    for name in ("list", "panel"):
        assert "Secret plan" not in admin_client.get(reverse(f"budgets:{name}")).content.decode()
    assert admin_client.get(reverse("budgets:budget", args=["b_nothing"])).status_code == 404


def test_nobody_sees_budgets_without_signing_in(client, db):
    for name in ("list", "new", "panel"):
        answer = client.get(reverse(f"budgets:{name}"), headers={"accept": "text/html"})
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in")
