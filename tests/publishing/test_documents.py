"""A document's page: desired state, what the stores hold, history; and the lines for the pages of keys and tenants."""

from __future__ import annotations

import threading

import pytest
from django.core.management import call_command

from publishing.models import KvVersion
from tenants.actions.keys import disable_key, revoke_key
from tenants.actions.tenants import suspend_tenant
from tenants.models import Membership
from tests.publishing.ledgers import hold_prices, park
from tests.tenants.making import SOMEBODY, issue, make_tenant
from tests.tenants.test_key_pages import text
from wire.documents import key_document
from wire.kv.base import StoreUnavailableError, Write


@pytest.fixture
def key(admin_client, stores, publisher):
    found = issue(admin_client.tenant, name="bot", rpm=600).key
    publisher.once()
    return found


def address(key) -> str:
    return f"/publishing/documents/{key.env}/key:{key.id}"


def in_stores(client, key) -> str:
    return text(client.get(f"/publishing/stores/{key.env}/key:{key.id}"))


def test_it_shows_the_fields_the_json_and_which_rev_each_store_has(admin_client, key):
    page = text(admin_client.get(address(key)))
    assert "Desired state, rev 1" in page
    assert "Requests a minute 600" in page
    assert '"rpm": 600' in page.replace("&quot;", '"')
    assert "has rev 1 since" in page


def test_history_tells_what_changed_between_revs_who_and_why(admin_client, stores, publisher, key):
    disable_key(key=key, by=SOMEBODY)
    publisher.once()
    revoke_key(key=key, by=SOMEBODY)
    publisher.once()
    answer = admin_client.get(address(key))
    found = [(each.version.rev, each.says, each.first) for each in answer.context["revisions"]]
    assert found == [(3, "revoked", False), (2, "disabled", False), (1, "active", True)]
    assert [tuple(each.changes[0][:3]) for each in answer.context["revisions"][:2]] == [
        ("Status", "disabled", "revoked"),
        ("Status", "active", "disabled"),
    ]
    assert "disabled the key bot" in text(answer)


def test_a_long_history_is_read_on(admin_client, stores, publisher, key):
    for rev in range(2, 30):
        body = f'{{"rev":{rev},"rpm":{rev}}}'.encode()
        KvVersion.objects.create(
            env="dev", key=key_document(key.hash), tenant_id=key.tenant_id, rev=rev, body=body, why=1
        )
    answer = admin_client.get(address(key))
    assert [each.version.rev for each in answer.context["revisions"]] == list(range(29, 9, -1))
    answer = admin_client.get(address(key) + answer.context["next_url"])
    assert [each.version.rev for each in answer.context["revisions"]] == list(range(9, 0, -1))
    assert answer.context["next_url"] == ""


def test_prices_are_shown_by_what_they_come_down_to(admin_client, stores, publisher):
    call_command("sync_prices", "--json")
    publisher.once()
    answer = admin_client.get("/publishing/documents/dev/pricing:blob")
    assert "Only its beginning is shown." in text(answer)
    assert len(answer.content) < 100_000
    assert "Source genai-prices" in text(answer)


def test_a_held_price_book_is_compared_with_what_the_gateways_read(admin_client, stores, publisher):
    hold_prices(publisher, "dev")
    page = text(admin_client.get("/publishing/stores/dev/pricing:blob"))
    assert "Behind" in page
    assert "Models 1,570 2,330" in page


class TestStores:
    def test_equal(self, admin_client, key):
        page = in_stores(admin_client, key)
        assert "read by our gateways" in page
        assert "Equal Rev 1" in page

    def test_missing(self, admin_client, stores, publisher, key):
        later = issue(admin_client.tenant).key
        park(stores, publisher, later)
        assert "Missing It holds nothing under this name." in in_stores(admin_client, later)

    def test_different_shows_what_differs(self, admin_client, stores, key):
        name = key_document(key.hash)
        stores.reader("dev").write([Write(name, 7, b'{"rev":7,"status":"active","rpm":9000,"tier":"<i>"}')])
        page = in_stores(admin_client, key)
        assert "Different Rev 7" in page
        assert "600 9,000" in page
        raw = admin_client.get(f"/publishing/stores/dev/key:{key.id}").content.decode()
        assert "&lt;i&gt;" in raw

    def test_what_is_no_document_at_all_is_shown_all_the_same(self, admin_client, stores, key):
        stores.reader("dev").write([Write(key_document(key.hash), 8, b"\xff\x00 nonsense")])
        assert "Different Rev 8" in in_stores(admin_client, key)

    def test_deleted(self, admin_client, stores, key):
        stores.reader("dev").write([Write(key_document(key.hash), 9, None)])
        assert "Missing" in in_stores(admin_client, key)

    @pytest.mark.parametrize("error", [StoreUnavailableError("It does not answer."), RuntimeError("secret inside")])
    def test_one_that_cannot_be_read_says_so_and_no_more(self, admin_client, stores, key, error):
        class Broken:
            def __init__(self, kv) -> None:
                self._kv = kv

            def entry(self, key):
                raise error

            def close(self) -> None:
                self._kv.close()

        stores.opening = Broken
        page = in_stores(admin_client, key)
        assert "Not readable" in page
        assert "secret inside" not in page

    def test_one_that_does_not_answer_holds_nobody_up(self, admin_client, stores, publisher, key, monkeypatch):
        answered = threading.Event()

        class Silent:
            def __init__(self, kv) -> None:
                self._kv = kv

            def entry(self, name):
                answered.wait(20)

            def close(self) -> None:
                self._kv.close()

        stores.opening = Silent
        monkeypatch.setattr("publishing.live.STORE_SECONDS", 0.2)
        try:
            assert "No answer within" in in_stores(admin_client, key)
        finally:
            answered.set()


class TestWalls:
    def test_another_tenants_document_is_not_there(self, admin_client, stores, publisher):
        strangers = make_tenant("Strangers Ltd")
        theirs = issue(strangers).key
        publisher.once()
        addresses = [
            f"/publishing/{kind}/dev/{path}"
            for kind in ("documents", "stores")
            for path in (f"key:{theirs.id}", f"key:{theirs.hash}", f"tenant:{strangers.id}")
        ]
        assert {admin_client.get(each).status_code for each in addresses} == {200}
        Membership.objects.filter(role=Membership.Role.PLATFORM_ADMIN).delete()
        assert {admin_client.get(each).status_code for each in addresses} == {404}
        lines = (f"/publishing/keys/{theirs.id}/view", f"/publishing/tenants/{strangers.id}/view")
        assert {admin_client.get(each).status_code for each in lines} == {404}

    def test_the_key_of_another_environment_is_not_there(self, admin_client, key):
        assert admin_client.get(f"/publishing/documents/prod/key:{key.id}").status_code == 404
        assert admin_client.get(f"/publishing/documents/nowhere/key:{key.id}").status_code == 404


class TestLines:
    """What the pages of keys and tenants pull in."""

    def line(self, client, key) -> str:
        return text(client.get(f"/publishing/keys/{key.id}/view"))

    def test_it_asks_again_by_itself_until_the_gateway_knows(self, admin_client, publisher, key):
        disable_key(key=key, by=SOMEBODY)
        here = f"/publishing/keys/{key.id}/view"
        assert f'data-live hx-get="{here}"' in admin_client.get(here).content.decode()
        publisher.once()
        assert "data-live" not in admin_client.get(here).content.decode()

    def test_published(self, admin_client, key):
        line = self.line(admin_client, key)
        assert "Published The gateway knows rev 1, published" in line
        assert "after the change. What the gateway knows" in line

    def test_before_it_was_ever_published(self, admin_client, stores, publisher):
        key = issue(admin_client.tenant).key
        assert "On its way The gateway knows nothing of it yet." in self.line(admin_client, key)

    def test_while_a_change_is_on_its_way(self, admin_client, key):
        disable_key(key=key, by=SOMEBODY)
        assert "On its way The gateway still knows rev 1." in self.line(admin_client, key)

    def test_parked(self, admin_client, stores, publisher, key):
        disable_key(key=key, by=SOMEBODY)
        park(stores, publisher, key)
        assert "Rev 2 is refused by the store; the gateway still knows rev 1." in self.line(admin_client, key)

    def test_a_tenants_has_one_for_each_environment(self, admin_client, stores, publisher, key):
        suspend_tenant(tenant=admin_client.tenant, reason="Tried.", by=SOMEBODY)
        publisher.once()
        page = text(admin_client.get(f"/publishing/tenants/{admin_client.tenant.id}/view"))
        assert "dev: Published The gateway knows rev 2" in page
        assert "prod: Published The gateway knows rev 2" in page
