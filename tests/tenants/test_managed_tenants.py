"""Pages on which platform admins look after tenants, and what everybody sees of a tenant that is stopped."""

from __future__ import annotations

import pytest

from changes.models import AuditEvent
from tenants.actions.tenants import change_tenant
from tenants.models import Tenant
from tests.tenants.making import SOMEBODY, issue, make_tenant, to_status
from tests.tenants.test_key_pages import text, values_of

FORM = {"name": "Globex", "time_zone": "Europe/Berlin", "currency": "EUR", "billing_day": "15", "tags": "region=emea"}


@pytest.fixture
def globex(admin_client) -> Tenant:
    return make_tenant("Globex")


def shown(answer) -> list[str]:
    return [tenant.name for tenant in answer.context["rows"]]


def test_tenants_are_listed_with_their_counts(admin_client, globex):
    issue(globex)
    to_status(make_tenant("Initech"), "suspended")
    rows = {each.name: each for each in admin_client.get("/tenants").context["rows"]}
    assert (rows["Globex"].keys_living, rows["Globex"].projects, rows["Initech"].status) == (1, 1, "suspended")
    assert shown(admin_client.get("/tenants?status=suspended")) == ["Initech"]
    assert shown(admin_client.get("/tenants?q=glo")) == ["Globex"]
    assert shown(admin_client.get(f"/tenants?q={globex.id}")) == ["Globex"]
    nothing = admin_client.get("/tenants?q=nobody")
    assert "No tenant matches" in text(nothing)
    assert shown(admin_client.get("/tenants?status=nonsense&page=99")) == shown(admin_client.get("/tenants"))


def test_the_list_comes_in_pages(admin_client, db):
    Tenant.objects.bulk_create([Tenant(name=f"Tenant {number:03}") for number in range(60)])
    first = admin_client.get("/tenants?status=active")
    assert (len(shown(first)), first.context["next_url"]) == (50, "?status=active&page=2")
    assert len(shown(admin_client.get("/tenants" + first.context["next_url"]))) == 11


def test_a_list_of_any_length_takes_as_many_queries(admin_client, django_assert_max_num_queries):
    Tenant.objects.bulk_create([Tenant(name=f"Tenant {number:03}") for number in range(50)])
    with django_assert_max_num_queries(12):
        admin_client.get("/tenants")


def test_a_tenant_is_created(admin_client):
    page = admin_client.post("/tenants/new", FORM | {"keys_most": "10", "projects_most": ""}, follow=True)
    assert "Tenant “Globex” is created" in text(page)
    made = Tenant.objects.get(name="Globex")
    assert (made.time_zone, made.currency, made.billing_day, made.tags) == (
        "Europe/Berlin",
        "EUR",
        15,
        {"region": "emea"},
    )
    assert (made.keys_most, made.projects_most) == (10, None)
    assert made.id.startswith("t_")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "Write a name."),
        ("billing_day", "29", "29 is not one of the available choices"),
        ("tags", "no equals sign", "is no tag"),
        ("tags", "a=1\na=2", "given twice"),
        ("keys_most", "-1", "greater than or equal to 0"),
        ("projects_most", "many", "Enter a whole number"),
    ],
)
def test_a_tenant_that_cannot_be_is_said_at_its_field(admin_client, field, value, said):
    answer = admin_client.post("/tenants/new", FORM | {field: value})
    assert answer.status_code == 422
    assert said in " ".join(answer.context["form"].errors[field])
    assert not Tenant.objects.filter(name="Globex").exists()


def test_settings_and_quotas_are_changed_in_one(admin_client, globex):
    wanted = FORM | {"name": "Globex AG", "keys_most": "5", "projects_most": "2", "version": str(globex.version)}
    page = admin_client.post(f"/tenants/{globex.id}/edit", wanted, follow=True)
    assert "“Globex AG” is saved." in text(page)
    found = Tenant.objects.get(pk=globex.pk)
    assert (found.name, found.keys_most, found.projects_most) == ("Globex AG", 5, 2)


def test_of_two_admins_the_second_is_told_and_loses_nothing(admin_client, globex):
    opened = values_of(admin_client.get(f"/tenants/{globex.id}/edit"))
    change_tenant(tenant=globex, name="Globex Ltd", currency="GBP", by=SOMEBODY)
    wanted = opened | {"name": "Globex AG", "keys_most": "7"}
    answer = admin_client.post(f"/tenants/{globex.id}/edit", wanted)
    assert answer.status_code == 422
    page = text(answer)
    assert "was changed" in page
    assert "It says now: Globex Ltd." in page
    assert page.count("It says now") == 1
    assert "changed this meanwhile. It said: USD" in page
    assert 'value="Globex AG"' in answer.content.decode()  # what was typed stays
    assert Tenant.objects.get(pk=globex.pk).name == "Globex Ltd"
    assert admin_client.post(f"/tenants/{globex.id}/edit", values_of(answer)).status_code == 302
    found = Tenant.objects.get(pk=globex.pk)
    assert (found.name, found.currency, found.keys_most) == ("Globex AG", "GBP", 7)


def test_a_tenant_is_suspended_by_name_and_resumed(admin_client, globex):
    address = f"/tenants/{globex.id}"
    for wrong in ({"name": "globex", "reason": "Unpaid."}, {"name": "Globex", "reason": " "}, {}):
        answer = admin_client.confirmed_post(f"{address}/suspend", wrong)
        assert answer.status_code == 422
        assert Tenant.objects.get(pk=globex.pk).status == "active"
    page = admin_client.confirmed_post(f"{address}/suspend", {"name": "Globex", "reason": "Unpaid."}, follow=True)
    assert "“Globex” is suspended" in text(page)
    assert "Reason: Unpaid." in text(page)
    assert "“Globex” is active again" in text(admin_client.post(f"{address}/resume", follow=True))
    assert Tenant.objects.get(pk=globex.pk).status == "active"


def test_a_tenant_is_archived_and_brought_back(admin_client, globex):
    address, said = f"/tenants/{globex.id}", {"name": "Globex", "reason": "It has left."}
    refused = admin_client.confirmed_post(f"{address}/archive", said)
    assert "suspend it first" in text(refused)
    admin_client.confirmed_post(f"{address}/suspend", said)
    page = admin_client.confirmed_post(f"{address}/archive", said, follow=True)
    assert "“Globex” is archived" in text(page)
    assert f"{address}/edit" not in page.content.decode()
    refused = admin_client.post(f"{address}/edit", FORM)
    assert "is archived: nothing of it can be changed" in text(refused)
    back = admin_client.post(f"{address}/bring-back", follow=True)
    assert "still suspended" in text(back)


def test_a_banner_on_every_page_says_that_a_tenant_is_stopped(admin_client):
    own = admin_client.tenant
    for page in ("/projects", "/keys", "/settings", "/members"):
        assert "This tenant is" not in text(admin_client.get(page))
    to_status(own, "suspended")
    for page in ("/projects", "/keys", "/settings", "/members"):
        assert "This tenant is suspended. The gateway refuses all calls with its keys. Reason: Tried." in text(
            admin_client.get(page)
        )
    Tenant.objects.filter(pk=own.pk).update(status="archived")
    assert "This tenant is archived." in text(admin_client.get("/projects"))
    refused = admin_client.post("/projects/new", {"name": "New"})
    assert refused.status_code == 422
    assert "is archived: nothing of it can be changed" in text(refused)
    assert "is archived" in text(
        admin_client.post("/settings", {"name": "New", "time_zone": "UTC", "currency": "USD", "billing_day": "1"})
    )


def test_the_trail_tells_it_in_words(admin_client, globex):
    to_status(globex, "archived")
    admin_client.post(f"/tenants/{globex.id}/switch")
    page = text(admin_client.get("/audit"))
    assert "suspended the tenant Globex" in page
    assert "archived the tenant Globex" in page
    assert AuditEvent.objects.filter(kind="tenant.archived", tenant_id=globex.id).count() == 1


def test_own_settings_show_quotas_and_keep_an_edit_of_others(admin_client):
    own = admin_client.tenant
    Tenant.objects.filter(pk=own.pk).update(keys_most=3)
    page = admin_client.get("/settings")
    assert "0 of 3" in text(page)
    change_tenant(tenant=own, billing_day=9, by=SOMEBODY)
    answer = admin_client.post("/settings", values_of(page) | {"name": "Mine", "keys_most": "100"})
    assert "changed this meanwhile. It said: 1." in text(answer)
    found = Tenant.objects.get(pk=own.pk)
    assert (found.name, found.keys_most) == (own.name, 3)  # nobody raises the own quota
    admin_client.post("/settings", values_of(answer) | {"keys_most": "100"})
    found = Tenant.objects.get(pk=own.pk)
    assert (found.name, found.billing_day, found.keys_most) == ("Mine", 9, 3)
