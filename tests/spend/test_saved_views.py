"""Saved views: one's own and shared ones, whom they are shown to, and what the audit trail says of them."""

from __future__ import annotations

import html
import re

import pytest

from changes.models import AuditEvent
from spend.exploring.actions import VIEWS_MOST
from spend.models import DefaultView, SavedView
from tenants.permissions import Role
from tenants.scope import across_tenants
from tests.spend.test_pages_requests import text_of
from tests.tenants.company import STRANGER, Company

QUERY = "by=project&period=7d&compare=previous&not-env=dev"


@pytest.fixture
def company(db, clickhouse) -> Company:
    return Company()


def save(person, name: str = "Weekly", query: str = QUERY, **more):
    return person.post("/explore/views/save", {"name": name, "query": query} | more)


def views() -> dict[str, SavedView]:
    with across_tenants("a test looks at what is there"):
        return {view.name: view for view in SavedView.objects.all()}


def told() -> list[str]:
    return list(AuditEvent.objects.filter(kind__startswith="saved_view.").order_by("id").values_list("kind", flat=True))


def test_a_view_is_kept_under_a_name_and_found_again(company):
    person = company.person(Role.FINANCE_VIEWER)
    answer = save(person)
    view = views()["Weekly"]
    assert (view.query, view.shared, view.owner) == (QUERY, False, person.user)
    assert answer.url == f"/explore?{QUERY}&saved={view.pk}"
    assert person.get(f"/explore/views/{view.pk}").url == answer.url
    page = person.get(answer.url).content.decode()
    assert f'<a href="/explore/views/{view.pk}" aria-current="true">Weekly</a>' in page
    assert told() == []


def test_ones_own_views_are_nobody_elses_and_shared_ones_are_the_tenants(company):
    finance, admin = company.person(Role.FINANCE_VIEWER), company.person(Role.TENANT_ADMIN)
    save(finance, "Private")
    save(finance, "Common", shared="yes")
    private, common = views()["Private"], views()["Common"]
    assert admin.get(f"/explore/views/{private.pk}").status_code == 404
    assert admin.get(f"/explore/views/{common.pk}").status_code == 302
    listed = text_of(admin.get("/explore/views"))
    assert "Common" in listed
    assert "Private" not in listed
    assert told() == ["saved_view.shared"]


def test_a_stranger_gets_nothing_of_a_view_by_its_id(company):
    save(company.person(Role.FINANCE_VIEWER), "Common", shared="yes")
    view, stranger = views()["Common"], company.person(STRANGER)
    theirs = stranger.get(f"/explore/views/{view.pk}")
    assert (theirs.status_code, "Common" in theirs.content.decode()) == (404, False)
    for action in ("change", "begin", "delete"):
        answer = stranger.post(f"/explore/views/{view.pk}/{action}", {"name": "Mine", "shared": "no", "begin": "yes"})
        assert answer.status_code == 404
    for address in (f"/explore?by=model&saved={view.pk}", "/explore/views"):
        page = stranger.get(address)
        assert page.status_code == 200
        assert "Common" not in page.content.decode()
    assert views()["Common"].shared


def test_a_view_is_renamed_shared_taken_back_and_deleted(company):
    person = company.person(Role.FINANCE_VIEWER)
    save(person)
    pk = views()["Weekly"].pk
    person.post(f"/explore/views/{pk}/change", {"name": "Every week"})
    assert told() == []
    person.post(f"/explore/views/{pk}/change", {"shared": "yes"})
    person.post(f"/explore/views/{pk}/change", {"name": "All weeks"})
    person.post(f"/explore/views/{pk}/change", {"query": "by=key"})
    assert views()["All weeks"].query == "by=key&period=month"
    person.post(f"/explore/views/{pk}/change", {"shared": "no"})
    person.post(f"/explore/views/{pk}/change", {"shared": "yes"})
    person.post(f"/explore/views/{pk}/delete")
    assert views() == {}
    kinds = ["shared", "changed", "changed", "unshared", "shared", "deleted"]
    assert told() == [f"saved_view.{kind}" for kind in kinds]
    trail = text_of(company.person(Role.TENANT_ADMIN).get("/audit"))
    assert "shared the view of spend Every week with the tenant" in trail
    assert "deleted the shared view of spend All weeks" in trail


def test_others_cannot_change_a_shared_view_but_a_tenant_admin_can(company):
    save(company.person(Role.FINANCE_VIEWER), "Common", shared="yes")
    pk = views()["Common"].pk
    refused = company.person(Role.DEVELOPER).post(f"/explore/views/{pk}/change", {"name": "Mine"}, follow=True)
    assert "Only its owner or a tenant admin can change this view" in text_of(refused)
    company.person(Role.DEVELOPER).post(f"/explore/views/{pk}/delete")
    assert set(views()) == {"Common"}
    company.person(Role.TENANT_ADMIN).post(f"/explore/views/{pk}/delete")
    assert views() == {}


def test_a_developer_keeps_views_and_shares_none(company):
    person = company.person(Role.DEVELOPER)
    refused = person.get(save(person, shared="yes").url)
    assert "Your role does not share views" in text_of(refused)
    assert "Share with" not in refused.content.decode()
    save(person)
    pk = views()["Weekly"].pk
    person.post(f"/explore/views/{pk}/change", {"shared": "yes"})
    assert not views()["Weekly"].shared


def test_a_person_begins_with_a_view_until_it_is_taken_away(company):
    finance, admin = company.person(Role.FINANCE_VIEWER), company.person(Role.TENANT_ADMIN)
    save(finance, "Common", shared="yes")
    pk = views()["Common"].pk
    for person in (finance, admin):
        assert person.get("/explore").status_code == 200
        person.post(f"/explore/views/{pk}/begin", {"begin": "yes"})
        assert person.get("/explore").url == f"/explore/views/{pk}"
        assert person.get("/explore?by=model").status_code == 200
    finance.post(f"/explore/views/{pk}/begin", {"begin": "no"})
    assert finance.get("/explore").status_code == 200
    finance.post(f"/explore/views/{pk}/change", {"shared": "no"})
    assert admin.get("/explore").status_code == 200
    with across_tenants("a test looks at what is there"):
        assert not DefaultView.objects.exists()


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("", QUERY, "needs a name"),
        ("x" * 121, QUERY, "at most 120"),
        ("Weekly", "by=nonsense", "choose one of"),
        ("Weekly", "by=model&tag:=x", "choose one of"),
        ("Weekly", "by=model&" + "end_user=" + "x" * 9000, "too many filters"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_what_to_do(company, name, query, said):
    person = company.person(Role.FINANCE_VIEWER)
    answer = save(person, name, query)
    assert said in text_of(person.get("/explore/views")) or said in text_of(
        person.get(answer.url.partition("&end_user")[0])
    )
    assert views() == {}


def test_a_name_is_taken_once_and_there_is_an_end(company, monkeypatch):
    person = company.person(Role.FINANCE_VIEWER)
    save(person)
    assert "You have a view called “Weekly”" in text_of(person.get(save(person).url))
    monkeypatch.setattr("spend.exploring.actions.VIEWS_MOST", 1)
    assert "You have 1 views" in text_of(person.get(save(person, "Another").url))
    assert set(views()) == {"Weekly"}
    assert VIEWS_MOST > 1


def test_the_list_says_whose_and_offers_only_what_may_be_done(company):
    save(company.person(Role.FINANCE_VIEWER), "Common", shared="yes")
    mine = company.person(Role.FINANCE_VIEWER).get("/explore/views").content.decode()
    theirs = company.person(Role.DEVELOPER).get("/explore/views").content.decode()
    assert "Rename" in mine
    assert "Rename" not in theirs
    assert re.search(r'data-label="Whose">finance_viewer<', html.unescape(theirs))
