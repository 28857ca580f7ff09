"""The list of every write: filters, paging, tenants' walls, and what became of each in the stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import call_command

from access.actions import create_user
from changes.actor import Actor
from changes.models import AuditEvent
from publishing.models import KvVersion
from publishing.republish import start_republish
from tenants.actions.keys import disable_key, revoke_key
from tenants.models import Membership
from tests.publishing.ledgers import hold_prices, park
from tests.tenants.making import SOMEBODY, issue, make_tenant
from tests.tenants.test_key_pages import text


@pytest.fixture
def person(admin_client):
    """The admin, of one tenant only from now on."""

    def only_of_the_tenant():
        Membership.objects.filter(role=Membership.Role.PLATFORM_ADMIN).delete()
        return admin_client

    return only_of_the_tenant


def writes(client, query: str = ""):
    answer = client.get(f"/publishing/writes{query}")
    assert answer.status_code == 200
    return answer.context["writes"]


def shown(client, query: str = "") -> list[tuple[str, int]]:
    return [(write.subject.name, write.version.rev) for write in writes(client, query)]


def test_each_rev_is_there_with_who_why_and_what_became_of_it(admin_client, stores, publisher):
    key = issue(admin_client.tenant, name="bot").key
    publisher.once()
    revoke_key(key=key, by=Actor("user", admin_client.user.pk, role="tenant_admin"))
    made = KvVersion.objects.count()
    publisher.once()
    assert KvVersion.objects.count() == made + 1
    found = writes(admin_client)
    assert [(write.subject.name, write.version.rev, write.says) for write in found[:2]] == [
        ("bot", 2, "revoked"),
        ("bot", 1, "active"),
    ]
    assert found[0].stores[0].text.startswith("after ")
    assert found[1].stores[0].text == "then rev 2"
    assert "Asha revoked the key bot" in text(admin_client.get("/publishing/writes"))


def test_several_stores_are_told_apart_and_one_that_waits_says_so(admin_client, stores, publisher):
    stores.name({"dev": [stores.embedded("dev"), stores.embedded("dev", "second")]})
    publisher.close()
    publisher = stores.publisher()
    key = issue(admin_client.tenant).key
    park(stores, publisher, key)
    (newest, *_) = writes(admin_client, "?env=dev&about=key")
    assert [(store.store, store.name, store.text) for store in newest.stores] == [
        ("embedded", "Embedded", "parked"),
        ("second", "Embedded", "parked"),
    ]
    publisher.close()


def test_what_was_published_anew_says_at_which_rev(admin_client, stores, publisher):
    issue(admin_client.tenant)
    publisher.once()
    start_republish(env="dev", by=SOMEBODY)
    while publisher.once().published:
        pass
    (newest, *_) = writes(admin_client, "?env=dev&about=key")
    assert (newest.version.rev, [store.text for store in newest.stores]) == (1, ["as rev 2"])


def test_a_held_document_says_so(admin_client, stores, publisher):
    entry = hold_prices(publisher, "dev")
    KvVersion.objects.create(env="dev", key=entry.key, rev=entry.rev, body=entry.body, why=entry.why)
    assert [store.text for store in writes(admin_client, "?env=dev&about=prices")[0].stores] == ["held"]


class TestFilters:
    @pytest.fixture(autouse=True)
    def _documents(self, admin_client, stores, publisher):
        call_command("sync_prices", "--json")
        self.person = create_user(email="ravi@example.com", name="Ravi", by=SOMEBODY)
        self.dev = issue(admin_client.tenant, name="dev bot", env="dev").key
        self.prod = issue(admin_client.tenant, name="prod bot", env="prod").key
        publisher.once()
        disable_key(key=self.dev, by=Actor("user", self.person.pk, role="tenant_admin"))
        publisher.once()

    def test_by_environment_and_kind(self, admin_client):
        assert shown(admin_client, "?env=prod&about=key") == [("prod bot", 1)]
        assert shown(admin_client, "?env=dev&about=tenant") == [("Default", 1)]
        assert {name for name, _ in shown(admin_client, "?about=prices")} == {"Price book", "Price version"}

    def test_by_name_or_id_of_a_key_or_a_tenant(self, admin_client):
        assert shown(admin_client, "?search=dev+bot") == [("dev bot", 2), ("dev bot", 1)]
        assert shown(admin_client, f"?search={self.prod.id}") == [("prod bot", 1)]
        assert {name for name, _ in shown(admin_client, f"?search={admin_client.tenant.id}")} == {"Default"}

    def test_by_person(self, admin_client):
        assert shown(admin_client, "?who=ravi") == [("dev bot", 2)]
        assert shown(admin_client, f"?who={self.person.pk}") == [("dev bot", 2)]
        assert shown(admin_client, "?who=nobody") == []

    def test_by_period(self, admin_client, publisher):
        with time_machine.travel(datetime.now(UTC) + timedelta(days=3)):
            admin_client.sign_in()
            assert shown(admin_client, "?period=1d") == []
            assert len(shown(admin_client, "?period=7d")) == len(writes(admin_client)) > 0

    def test_by_days(self, admin_client):
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        assert shown(admin_client, f"?period=custom&first={today}&last={today}")
        assert shown(admin_client, "?period=custom&last=2020-01-01") == []

    def test_what_cannot_be_understood_narrows_nothing_and_is_said(self, admin_client):
        everything = len(writes(admin_client))
        assert len(writes(admin_client, "?env=nowhere&about=dogs&before=x")) == everything
        page = text(admin_client.get("/publishing/writes?period=custom&first=yesterday"))
        assert "Write a date like 2027-06-30." in page

    def test_nothing_found_says_so_and_offers_the_way_back(self, admin_client):
        page = text(admin_client.get("/publishing/writes?search=nope"))
        assert "Nothing matches these filters" in page
        assert "Show everything" in page


def test_an_empty_ledger_says_so(admin_client, stores):
    assert "Nothing published yet" in text(admin_client.get("/publishing/writes"))


def test_pages_follow_each_other_without_gap_or_repetition(admin_client, stores, publisher):
    for number in range(60):
        issue(admin_client.tenant, name=f"bot {number:02d}")
    publisher.once()
    everything = KvVersion.objects.filter(env="dev").count()
    answer = admin_client.get("/publishing/writes?env=dev")
    seen = [write.version.pk for write in answer.context["writes"]]
    assert len(seen) == 50
    assert "env=dev&before=" in answer.context["next_url"]
    answer = admin_client.get(f"/publishing/writes{answer.context['next_url']}")
    seen += [write.version.pk for write in answer.context["writes"]]
    assert answer.context["next_url"] == ""
    assert len(set(seen)) == len(seen) == everything
    assert seen == sorted(seen, reverse=True)
    assert "No older writes" in text(admin_client.get("/publishing/writes?before=1"))


class TestWalls:
    @pytest.fixture(autouse=True)
    def _documents(self, admin_client, stores, publisher):
        self.strangers = make_tenant("Strangers Ltd")
        self.theirs = issue(self.strangers, name="their bot").key
        self.ours = issue(admin_client.tenant, name="our bot").key
        call_command("sync_prices", "--json")
        publisher.once()

    def test_a_platform_admin_sees_all_and_may_choose_a_tenant(self, admin_client):
        assert {"their bot", "our bot", "Strangers Ltd"} <= {name for name, _ in shown(admin_client)}
        chosen = {name for name, _ in shown(admin_client, f"?tenant={self.strangers.id}")}
        assert chosen == {"their bot", "Strangers Ltd"}
        assert {name for name, _ in shown(admin_client, "?tenant=shared")} == {"Price book", "Price version"}

    def test_a_tenants_people_see_their_own_and_the_shared_ones(self, person):
        client = person()
        assert {name for name, _ in shown(client)} == {"our bot", "Default", "Price book", "Price version"}
        assert len(writes(client)) == KvVersion.objects.exclude(tenant_id=self.strangers.id).count()

    def test_no_filter_leads_beyond_the_wall(self, person):
        client = person()
        for query in (
            f"?tenant={self.strangers.id}",
            f"?search={self.theirs.id}",
            "?search=their+bot",
            f"?search=key:{self.theirs.hash}",
            f"?search={self.strangers.id}",
            "?search=Strangers",
        ):
            answer = client.get(f"/publishing/writes{query}")
            names = {write.subject.name for write in answer.context["writes"]}
            assert not names & {"their bot", "Strangers Ltd"}, query
            assert "Strangers Ltd" not in text(answer).replace("Strangers", "", query.count("Strangers"))

    def test_why_is_not_told_when_it_happened_in_another_tenant(self, person):
        event = AuditEvent.objects.filter(tenant_id=self.strangers.id).first()
        KvVersion.objects.filter(key=f"key:{self.ours.hash}").update(why=event.pk)
        found = next(write for write in writes(person()) if write.subject.name == "our bot")
        assert (found.event, list(found.sentence)) == (None, [])


def test_hostile_names_are_text(admin_client, stores, publisher):
    issue(admin_client.tenant, name="<script>alert(1)</script>")
    publisher.once()
    for address in ("/publishing", "/publishing/writes", "/publishing/writes?search=%3Cscript%3Ealert"):
        page = admin_client.get(address).content.decode()
        assert "&lt;script&gt;alert" in page
        assert "<script>alert" not in page


def test_the_number_of_queries_does_not_depend_on_how_many_there_are(
    admin_client, stores, publisher, django_assert_max_num_queries
):
    issue(admin_client.tenant)
    publisher.once()
    admin_client.get("/publishing/writes")
    with django_assert_max_num_queries(100) as few:
        admin_client.get("/publishing/writes")
    for number in range(40):
        issue(make_tenant(f"Tenant {number}"), name=f"bot {number}")
    publisher.once()
    with django_assert_max_num_queries(len(few)):
        admin_client.get("/publishing/writes")
    assert len(few) <= 24
