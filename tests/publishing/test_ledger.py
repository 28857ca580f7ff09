"""The ledger's first page: how stores stand, the newest writes, gateways, and everything anew."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import time_machine
from django.core.cache import cache

from changes.models import AuditEvent
from publishing.models import KvVersion, Republish
from tenants.models import Membership
from tests.publishing.faults import Faulty, raising
from tests.tenants.making import issue, make_tenant, project_of_name
from tests.tenants.test_key_pages import text


@pytest.fixture(autouse=True)
def _counted_anew() -> None:
    cache.clear()


def environment(answer, env: str):
    return next(each for each in answer.context["environments"] if each.env == env)


def store(answer, env: str):
    return environment(answer, env).stores[0]


def test_a_change_waits_is_written_and_is_named_with_its_cause(admin_client, stores, publisher):
    admin_client.step_up()
    publisher.once()
    admin_client.post("/projects", {"name": "Support"})
    issue_form = {"name": "Bot", "env": "dev", "project": project_of_name(admin_client.tenant, "Default").id}
    admin_client.post("/keys/issue", issue_form)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2)):
        waiting = environment(admin_client.get("/publishing"), "dev")
        assert waiting.to_render == 1
        assert waiting.to_render_ms >= 120_000
        assert waiting.state.label == "Behind"
    publisher.once()
    answer = admin_client.get("/publishing")
    assert (environment(answer, "dev").to_render, store(answer, "dev").waiting) == (0, 0)
    assert environment(answer, "dev").state.label == "Up to date"
    newest = answer.context["writes"][0]
    assert newest.event.kind == "api_key.issued"
    assert "Asha issued the key Bot in dev" in text(answer)
    page = answer.content.decode()
    assert f'href="/publishing/documents/dev/key:{newest.event.target_id}"' in page
    assert f'href="/audit/{newest.event.id}"' in page


def test_a_store_that_fails_is_paused_and_says_why(admin_client, stores, publisher):
    publisher.once()
    issue(admin_client.tenant)
    faults = Faulty()
    faults.before = raising(ConnectionError("the store is away"))
    stores.opening = faults.around
    publisher.close()
    publisher.once()
    answer = admin_client.get("/publishing")
    assert store(answer, "dev").state.label == "Paused"
    assert store(answer, "dev").waiting == 1
    assert "the store is away" in text(answer)


def test_a_refused_namespace_is_shown_with_what_to_do(admin_client, stores, publisher):
    stores.reader("prod").add("meta:env", b'{"schema":1,"env":"dev"}')
    publisher.once()
    answer = admin_client.get("/publishing")
    assert store(answer, "prod").state.label == "Paused"
    assert "belongs to dev: nothing is written into" in text(answer)


def test_a_tenants_admin_sees_no_other_tenants_documents(admin_client, stores, publisher):
    theirs = issue(make_tenant("Strangers Ltd"), name="their bot").key
    ours = issue(admin_client.tenant, name="our bot").key
    publisher.once()
    answer = admin_client.get("/publishing")
    everything = store(answer, "dev").documents
    assert "their bot" in text(answer)
    Membership.objects.filter(role=Membership.Role.PLATFORM_ADMIN).delete()
    answer = admin_client.get("/publishing")
    page = answer.content.decode()
    assert "our bot" in page
    assert ours.id in page
    assert "their bot" not in page
    assert theirs.id not in page
    assert "Publish everything" not in page
    assert store(answer, "dev").documents == everything - 2  # the stranger's key and tenant


def test_hashes_are_shown_shortened(admin_client, stores, publisher):
    key = issue(admin_client.tenant).key
    publisher.once()
    assert key.hash not in admin_client.get("/publishing").content.decode()
    document = admin_client.get(f"/publishing/documents/dev/key:{key.id}").content.decode()
    assert key.hash not in document
    assert f"key:{key.hash[:6]}…{key.hash[-6:]}" in document


def test_htmx_gets_the_changing_part_only(admin_client):
    answer = admin_client.get("/publishing", headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert "<html" not in page
    assert 'id="health"' in page
    assert "Nothing published yet" in page


def test_the_plot_counts_the_writes_of_each_hour(admin_client, stores, publisher):
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=3), tick=True):
        issue(admin_client.tenant)
        publisher.once()
    issue(admin_client.tenant)
    publisher.once()
    answer = admin_client.get("/publishing")
    numbers = [number for _, number in answer.context["plot_rows"]]
    assert len(numbers) == 24
    assert [bool(number) for number in numbers].count(True) == 2
    assert any(numbers[-5:-2])
    assert answer.context["plotted"] == sum(numbers) == KvVersion.objects.count()


class TestEverythingAnew:
    def test_it_needs_a_confirmation_of_its_own_shows_its_progress_and_ends(self, admin_client, stores, publisher):
        issue(admin_client.tenant)
        publisher.once()
        admin_client.step_up()
        assert admin_client.post("/publishing/republish/dev").status_code == 403
        assert not Republish.objects.exists()
        page = admin_client.confirmed_post("/publishing/republish/dev", {"sent": "1"}, follow=True)
        assert "Everything in dev is published anew: 2 documents." in text(page)
        assert "0 of 2 documents" in text(page)
        again = admin_client.confirmed_post("/publishing/republish/dev", {"sent": "1"}, follow=True)
        assert "already" in text(again)
        while Republish.objects.filter(status=Republish.Status.RUNNING).exists():
            publisher.once()
        assert "0 of 2 documents" not in text(admin_client.get("/publishing"))

    def test_it_can_be_stopped(self, admin_client, stores, publisher):
        issue(admin_client.tenant)
        publisher.once()
        admin_client.confirmed_post("/publishing/republish/dev", {"sent": "1"})
        page = admin_client.post("/publishing/republish/dev/stop", follow=True)
        assert "Stopped after 0 of 2 documents of dev." in text(page)
        assert Republish.objects.get().status == Republish.Status.STOPPED
        assert AuditEvent.objects.filter(kind="kv.republish_stopped").exists()
        nothing = admin_client.post("/publishing/republish/dev/stop", follow=True)
        assert "Nothing is being published anew in dev." in text(nothing)

    def test_an_environment_that_is_none_is_not_found(self, admin_client):
        assert admin_client.confirmed_post("/publishing/republish/nowhere", {"sent": "1"}).status_code == 404


class _Gateway(BaseHTTPRequestHandler):
    said: bytes = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def gateway(settings) -> Iterator[type[_Gateway]]:
    """Something that answers at the address of dev's gateway; nothing answers at prod's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        settings.GATEWAY_URLS = {"dev": f"http://127.0.0.1:{server.server_port}", "prod": "http://127.0.0.1:9"}
        yield _Gateway
        server.shutdown()
        thread.join()


class TestGateways:
    def said(self, admin_client, gateway, said) -> str:
        gateway.said = said if isinstance(said, bytes) else json.dumps(said).encode()
        return text(admin_client.get("/publishing/gateways"))

    def test_each_says_what_it_knows_or_is_not_reachable(self, admin_client, gateway):
        said = {"status": "ok", "env": "dev", "kv_source": "store", "kv_age_ms": 12, "documents": 3, "price_version": 7}
        page = self.said(admin_client, gateway, said)
        assert "It knows what the store held 12 ms ago · 3 policies · price book 7" in page
        assert "http://127.0.0.1:9: not reachable" in page

    def test_one_that_works_from_its_copy_says_how_old_that_is(self, admin_client, gateway):
        said = {"status": "degraded", "env": "dev", "kv_source": "last-known-good", "kv_problem": "unreachable"}
        page = self.said(admin_client, gateway, said | {"kv_age_ms": 61_000, "documents": 3, "price_version": 7})
        assert "It works from its own copy (store unreachable), 1 min 1 s old" in page

    @pytest.mark.parametrize("said", [b"<html>", b"[]", {"env": "prod", "status": "ok"}, {"status": "ok"}])
    def test_whatever_else_answers_there_is_no_gateway(self, admin_client, gateway, said):
        assert "what answers there is no gateway of this environment" in self.said(admin_client, gateway, said)

    def test_odd_figures_and_hostile_words_do_no_harm(self, admin_client, gateway):
        said = {"env": "dev", "status": "<b>", "kv_age_ms": "soon", "documents": None, "price_version": [1]}
        gateway.said = json.dumps(said).encode()
        page = admin_client.get("/publishing/gateways").content.decode()
        assert "&lt;b&gt;" in page
        assert "<b>" not in page


def test_the_number_of_queries_does_not_depend_on_what_is_there(
    admin_client, stores, publisher, django_assert_max_num_queries
):
    def ask() -> None:
        cache.clear()
        admin_client.get("/publishing", headers={"HX-Request": "true"})

    issue(admin_client.tenant)
    publisher.once()
    ask()
    with django_assert_max_num_queries(100) as few:
        ask()
    for number in range(30):
        issue(make_tenant(f"Tenant {number}"), name=f"bot {number}")
    publisher.once()
    with django_assert_max_num_queries(len(few)):
        ask()
    assert len(few) <= 30
