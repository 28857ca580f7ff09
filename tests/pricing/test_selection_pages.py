"""The pages of selections: what is shown to whom, how a model is found, selected, changed and cleared."""

from __future__ import annotations

import re
from html import unescape

import pytest

from pricing.actions.catalogue import describe_model
from pricing.actions.selections import select_model
from pricing.models import Model, Selection
from tenants.permissions import Role
from tenants.scope import tenant_scope
from tests.pricing.catalogues import acme
from tests.pricing.conftest import sync_and_approve
from tests.tenants.company import Company
from tests.tenants.making import SOMEBODY, make_tenant, project_of

pytestmark = pytest.mark.django_db

PAGE, CHOOSE = "/models/selection", "/models/selection/choose"
BULK = {"use": "chat", "tier": "bulk"}
SMALL = {**BULK, "provider": "acme", "model": "small"}


@pytest.fixture
def prices(db):
    sync_and_approve(acme(60))


@pytest.fixture
def admin(prices, admin_client):
    return admin_client


def text(answer) -> str:
    assert answer.status_code == 200, answer.content
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def selected(tenant) -> list[tuple[str, str, str, str | None]]:
    with tenant_scope(tenant.id):
        return [(row.use, row.tier, row.model, row.project_id) for row in Selection.objects.order_by("pk")]


def test_before_the_first_prices_and_before_the_first_selection_the_page_says_so(admin_client):
    assert "No models yet" in text(admin_client.get(PAGE))
    sync_and_approve(acme())
    page = admin_client.get(PAGE)
    assert "No model is selected" in text(page)
    assert f'href="{CHOOSE}?use=chat&amp;tier=bulk"' in page.content.decode()


def test_a_model_is_searched_and_selected(admin):
    shown = text(admin.get(CHOOSE, {**BULK, "q": "acme SMALL"}))
    assert "None is selected yet" in shown
    assert "small No gateway calls it acme" in shown
    assert "model-1" not in shown
    done = admin.post(f"{PAGE}/save", {**SMALL, "version": "0"}, follow=True)
    assert "Chat completions, bulk: small. Gateways know within a second." in text(done)
    assert selected(admin.tenant) == [("chat", "bulk", "small", None)]
    assert "Now it is small of acme" in text(admin.get(CHOOSE, BULK))


def test_models_of_the_tier_come_first_and_the_rest_is_counted(admin):
    describe_model(model=Model.objects.get(model_id="model-7"), by=SOMEBODY, facts={"tier": "bulk"})
    page = admin.get(CHOOSE, BULK).content.decode()
    assert re.findall(r"Select (\S+) of acme", page)[0] == "model-7"
    assert "10 more models" in text(admin.get(CHOOSE, BULK))
    assert "No model matches" in text(admin.get(CHOOSE, {**BULK, "q": "nope"}))
    assert "No model for this use" in text(admin.get(CHOOSE, {**BULK, "use": "embeddings"}))


def test_a_project_has_models_of_its_own_and_inherits_the_others(admin):
    project = project_of(admin.tenant)
    select_model(tenant=admin.tenant, **SMALL, by=SOMEBODY)
    select_model(tenant=admin.tenant, **SMALL | {"tier": "standard"}, by=SOMEBODY)
    done = admin.post(f"{PAGE}/save", {**SMALL, "model": "model-1", "project": project.id, "version": "0"}, follow=True)
    assert done.redirect_chain[-1][0] == f"{PAGE}?project={project.id}"
    shown = text(admin.get(PAGE, {"project": project.id}))
    assert "model-1 acme · of this project" in shown
    assert "small acme · of all projects" in shown
    assert "Projects with models of their own Project Models Default model-1 chat, bulk" in text(admin.get(PAGE))
    cleared = admin.post(f"{PAGE}/clear", {**BULK, "project": project.id, "version": "1"}, follow=True)
    assert "What is selected for all projects holds within a second" in text(cleared)
    assert selected(admin.tenant) == [("chat", "bulk", "small", None), ("chat", "standard", "small", None)]


def test_what_somebody_changed_meanwhile_is_not_overwritten(admin):
    select_model(tenant=admin.tenant, **SMALL, by=SOMEBODY)
    for address, data in (("save", {**SMALL, "model": "model-1", "version": "0"}), ("clear", {**BULK, "version": "7"})):
        told = text(admin.post(f"{PAGE}/{address}", data, follow=True))
        assert "Somebody changed the model after you looked" in told
        assert "now it is acme/small" in told
    assert selected(admin.tenant) == [("chat", "bulk", "small", None)]


def test_what_cannot_be_selected_is_said(admin):
    told = text(admin.post(f"{PAGE}/save", {**SMALL, "model": "gone"}, follow=True))
    assert "'gone' of 'acme' is not in the catalogue" in told
    for nonsense in ({}, {**SMALL, "tier": "best"}, {**SMALL, "use": "poetry"}):
        assert "Nothing was changed" in text(admin.post(f"{PAGE}/save", nonsense, follow=True))
    assert selected(admin.tenant) == []


def test_a_model_that_is_gone_is_marked(admin):
    select_model(tenant=admin.tenant, **SMALL | {"model": "model-59"}, by=SOMEBODY)
    sync_and_approve(acme(59))
    assert "model-59 No longer listed" in text(admin.get(PAGE))


def test_who_may_only_look_is_offered_nothing_to_press(prices):
    company = Company()
    select_model(tenant=company.tenant, **SMALL, by=SOMEBODY)
    page = company.person(Role.DEVELOPER).get(PAGE)
    assert "small acme" in text(page)
    assert CHOOSE not in page.content.decode()
    assert "/models/selection/clear" not in page.content.decode()
    assert company.person(Role.FINANCE_VIEWER).post(f"{PAGE}/save", SMALL).status_code == 403


def test_a_project_of_another_tenant_is_not_there(admin):
    theirs = project_of(make_tenant("Theirs")).id
    assert admin.get(PAGE, {"project": theirs}).status_code == 404
    assert admin.get(CHOOSE, {**BULK, "project": theirs}).status_code == 404
    assert admin.post(f"{PAGE}/save", {**SMALL, "project": theirs}).status_code == 404
    assert admin.post(f"{PAGE}/clear", {**BULK, "project": theirs}).status_code == 404
    assert selected(admin.tenant) == []


def test_the_pages_of_prices_lead_here(admin):
    assert f'href="{PAGE}"' in admin.get("/pricing").content.decode()


def test_prices_to_choose_by_are_written_as_in_the_catalogue(admin_client):
    sync_and_approve(acme(2, input=500_000, output=8_000_000))
    assert "$0.50 $8.00" in text(admin_client.get(CHOOSE, BULK))
