"""Trouble and what a person does about it; comparisons that somebody asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command

from changes.models import AuditEvent, OutboxRow
from publishing.models import Comparison, KvEntry, Reconciliation
from publishing.tasks import compare_as_asked, repair_confirmed
from tenants.models import ApiKey, Membership
from tests.publishing.ledgers import hold_prices, hold_repair, park
from tests.tenants.making import issue, make_tenant
from tests.tenants.test_key_pages import text
from wire.documents import key_document
from wire.kv.base import Write


def entry_of(key: ApiKey) -> KvEntry:
    return KvEntry.objects.get(key=key_document(key.hash))


def trouble(client) -> str:
    return text(client.get("/publishing/trouble"))


def test_without_any_it_says_so(admin_client, stores, publisher):
    publisher.once()
    assert "Nothing is wrong" in trouble(admin_client)


class TestParked:
    @pytest.fixture
    def key(self, admin_client, stores, publisher):
        publisher.once()
        found = issue(admin_client.tenant, name="<b>bot</b>").key
        self.refused = park(stores, publisher, found)
        return found

    def test_it_is_shown_and_sent_again_on_demand(self, admin_client, publisher, key):
        assert "<b>bot</b> API key dev embedded 413: the value is too large" in trouble(admin_client).replace(
            "&lt;", "<"
        ).replace("&gt;", ">")
        assert "<b>bot" not in admin_client.get("/publishing/trouble").content.decode()
        self.refused.clear()
        assert publisher.once().published == 0
        admin_client.step_up()
        page = admin_client.post(f"/publishing/entries/{entry_of(key).pk}/retry", follow=True)
        assert "is sent again." in text(page)
        assert publisher.once().published == 1
        assert AuditEvent.objects.filter(kind="kv_entry.retried").exists()

    def test_retrying_needs_the_passkey(self, admin_client, key):
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)):
            assert admin_client.post(f"/publishing/entries/{entry_of(key).pk}/retry").status_code == 403
            assert admin_client.post("/publishing/entries/retry-parked").status_code == 403
        assert entry_of(key).parked

    def test_all_are_sent_again_at_once(self, admin_client, stores, publisher, key):
        park(stores, publisher, *(issue(admin_client.tenant, name=f"bot {number}").key for number in range(3)))
        assert "4 documents that a store will not take" in trouble(admin_client)
        admin_client.step_up()
        page = admin_client.post("/publishing/entries/retry-parked", follow=True)
        assert "4 documents sent again." in text(page)
        assert AuditEvent.objects.get(kind="kv_entry.all_retried").after == {"documents": 4}
        again = admin_client.post("/publishing/entries/retry-parked", follow=True)
        assert "Nothing is parked any more." in text(again)
        assert not KvEntry.objects.filter(parked=True).exists()

    def test_a_tenants_admin_sees_and_retries_their_own_only(self, admin_client, stores, publisher, key):
        theirs = issue(make_tenant("Strangers Ltd"), name="their bot").key
        park(stores, publisher, theirs)
        Membership.objects.filter(role=Membership.Role.PLATFORM_ADMIN).delete()
        assert "their bot" not in trouble(admin_client)
        admin_client.step_up()
        assert admin_client.post(f"/publishing/entries/{entry_of(theirs).pk}/retry").status_code == 404
        admin_client.post("/publishing/entries/retry-parked")
        assert (entry_of(key).parked, entry_of(theirs).parked) == (False, True)
        assert AuditEvent.objects.get(kind="kv_entry.all_retried").tenant_id == admin_client.tenant.id


def test_an_object_that_cannot_be_rendered_is_shown_and_rendered_again_on_demand(admin_client, stores, publisher):
    key = issue(admin_client.tenant).key
    ApiKey._base_manager.filter(pk=key.pk).update(status="nonsense")
    publisher.once()
    assert f"key {key.id}" in trouble(admin_client)
    ApiKey._base_manager.filter(pk=key.pk).update(status="active")
    admin_client.step_up()
    admin_client.post(f"/publishing/objects/{OutboxRow.objects.get().pk}/retry")
    publisher.once()
    assert key_document(key.hash) in stores.documents("dev")


class TestHeldPrices:
    @pytest.fixture
    def entry(self, stores, publisher) -> KvEntry:
        return hold_prices(publisher, "dev")

    def test_it_is_shown_with_what_would_be_gone(self, admin_client, entry):
        page = trouble(admin_client)
        assert "Price book of dev is held" in page
        assert "Models 2,330 1,570" in page
        assert "more" in page.partition("Models gone")[2]
        assert "A document waits for a person." in text(admin_client.get("/publishing"))

    def test_it_is_published_when_exactly_it_is_confirmed(self, admin_client, publisher, entry):
        address = f"/publishing/entries/{entry.pk}/confirm"
        admin_client.step_up()
        assert admin_client.post(address, {"code": entry.held}).status_code == 403, "a fresh passkey is not enough"
        page = admin_client.confirmed_post(address, {"code": "0" * 24}, follow=True)
        assert "Nothing of dev is held with the code" in text(page)
        page = admin_client.confirmed_post(address, {"code": entry.held}, follow=True)
        assert "pricing:blob is published." in text(page)
        publisher.once()
        entry.refresh_from_db()
        assert entry.published_rev == entry.rev

    def test_only_a_platform_admin_may_confirm(self, admin_client, entry):
        Membership.objects.filter(role=Membership.Role.PLATFORM_ADMIN).delete()
        page = trouble(admin_client)
        assert "Price book of dev is held" in page
        assert "Publish exactly this" not in page
        answer = admin_client.confirmed_post(f"/publishing/entries/{entry.pk}/confirm", {"code": entry.held})
        assert answer.status_code == 403


class TestHeldRepair:
    @pytest.fixture
    def row(self, admin_client, stores, publisher) -> Reconciliation:
        issue(admin_client.tenant)
        publisher.once()
        return hold_repair(stores, "dev")

    def test_it_is_shown_and_repaired_when_exactly_it_is_confirmed(self, admin_client, stores, row):
        page = trouble(admin_client)
        assert "A repair of dev is held" in page
        assert "and 10 more" in page
        assert "in the store, and SQL knows nothing of it" in page
        address = f"/publishing/comparisons/{row.pk}/confirm"
        admin_client.step_up()
        assert admin_client.post(address, {"code": row.confirmation}).status_code == 403
        done = admin_client.confirmed_post(address, {"code": row.confirmation}, follow=True)
        assert "is repaired within the minute" in text(done)
        assert "A repair of dev is held" not in trouble(admin_client)
        repair_confirmed()
        assert Reconciliation.objects.order_by("-id").first().status == Reconciliation.Status.REPAIRED

    def test_one_that_another_run_overtook_is_refused(self, admin_client, stores, row):
        Reconciliation.objects.create(env="dev", store="embedded", status=Reconciliation.Status.CLEAN)
        page = admin_client.confirmed_post(f"/publishing/comparisons/{row.pk}/confirm", {"code": "x"}, follow=True)
        assert "These differences are not held any more" in text(page)

    def test_a_tenants_admin_sees_that_it_is_held_and_nothing_of_what(self, admin_client, row):
        Membership.objects.filter(role=Membership.Role.PLATFORM_ADMIN).delete()
        assert "A repair waits for a person." in text(admin_client.get("/publishing"))
        assert "A repair of dev is held" not in trouble(admin_client)
        looks = admin_client.get("/publishing/comparisons")
        assert "Held" in text(looks)
        assert "What was found" not in text(looks)
        assert "key:0" not in looks.content.decode()


class TestComparisons:
    def test_one_that_is_asked_for_is_made_by_a_worker_and_repairs_nothing(self, admin_client, stores, publisher):
        issue(admin_client.tenant)
        publisher.once()
        reader = stores.reader("dev")
        assert "Nothing compared yet" in text(admin_client.get("/publishing/comparisons"))
        asked = {"env": "dev", "store": "embedded"}
        admin_client.post("/publishing/comparisons/ask", asked)
        page = admin_client.post("/publishing/comparisons/ask", asked, follow=True)
        assert "Comparing …" in text(page)
        assert (
            Comparison.objects.count() == AuditEvent.objects.filter(kind="kv_namespace.comparison_asked").count() == 1
        )
        foreign = f"key:{'0' * 64}"
        reader.write([Write(foreign, 1, b"{}")])
        compare_as_asked()
        publisher.once()
        assert reader.get(foreign) == b"{}"
        row = Reconciliation.objects.get()
        assert (row.by_id, row.status, row.foreign) == (admin_client.user.pk, Reconciliation.Status.DRY, 1)
        page = text(admin_client.get("/publishing/comparisons"))
        assert "Comparing …" not in page
        assert "Asha" in page

    def test_one_by_command_is_told_from_one_on_schedule(self, admin_client, stores, publisher):
        issue(admin_client.tenant)
        publisher.once()
        stores.reader("dev").write([Write(f"key:{'0' * 64}", 1, b"{}")])
        call_command("reconcile", "--env", "dev", "--dry-run", stdout=StringIO())
        page = text(admin_client.get("/publishing/comparisons"))
        assert "Differs, dry run" in page
        assert "By command" in page
        assert "On schedule" not in page

    def test_a_store_that_is_none_is_not_found(self, admin_client):
        answer = admin_client.post("/publishing/comparisons/ask", {"env": "dev", "store": "elsewhere"})
        assert answer.status_code == 404
        assert not Comparison.objects.exists()

    def test_one_of_a_store_that_is_not_configured_any_more_is_forgotten(self, db, stores):
        Comparison.objects.create(env="dev", store="elsewhere", by_kind="user", by_id="u_1")
        compare_as_asked()
        assert not Comparison.objects.exists()
        assert not Reconciliation.objects.exists()

    def test_pages_follow_each_other(self, admin_client, stores):
        rows = [
            Reconciliation.objects.create(env="dev", store="embedded", status=Reconciliation.Status.CLEAN)
            for _ in range(35)
        ]
        answer = admin_client.get("/publishing/comparisons")
        first = [look.row.pk for look in answer.context["looks"]]
        answer = admin_client.get(f"/publishing/comparisons{answer.context['next_url']}")
        assert first + [look.row.pk for look in answer.context["looks"]] == [row.pk for row in reversed(rows)]
        assert "data-live hx-get" not in answer.content.decode()


def test_the_number_of_queries_does_not_depend_on_how_much_is_wrong(
    admin_client, stores, publisher, django_assert_max_num_queries
):
    park(stores, publisher, issue(admin_client.tenant).key)
    trouble(admin_client)
    with django_assert_max_num_queries(100) as few:
        trouble(admin_client)
    park(stores, publisher, *(issue(make_tenant(f"Tenant {number}")).key for number in range(20)))
    with django_assert_max_num_queries(len(few)):
        trouble(admin_client)
    assert len(few) <= 30
