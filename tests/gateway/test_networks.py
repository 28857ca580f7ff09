"""Keys that may be used from some networks only, directly and behind a proxy."""

from __future__ import annotations

import httpx
import pytest

from tests.gateway.peers import GatewayUnderTest, wait_for
from wire.documents import Block
from wire.events import Denied


@pytest.mark.parametrize(
    ("networks", "status"),
    [((), 200), (("127.0.0.0/8",), 200), (("192.0.2.0/24", "::1/128"), 403), (("::ffff:127.0.0.0/104",), 200)],
)
def test_the_address_that_the_connection_comes_from(gateway, networks, status):
    key = gateway.issue(networks=networks)
    answer = key.chat(headers={"x-forwarded-for": "192.0.2.1"})  # nobody said that a proxy can be believed
    assert answer.status_code == status
    listed = httpx.get(f"{gateway.url}/v1/models", headers={"authorization": f"Bearer {key.text}"}, timeout=10)
    assert listed.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == Denied.NETWORK_NOT_ALLOWED
        assert answer.json()["error"]["message"] == "This API key may not be used from 127.0.0.1."
        denial = gateway.denials(key)[0]
        assert (denial.reason, denial.tenant, denial.revs) == (
            Denied.NETWORK_NOT_ALLOWED, key.tenant, {key.document: gateway._rev},
        )  # fmt: skip


@pytest.fixture
def behind_proxy(make_gateway) -> GatewayUnderTest:
    return make_gateway(SPENDOPS_BEHIND_PROXY="true").start()


def test_behind_a_proxy_the_last_entry_of_its_header_counts(behind_proxy):
    key = behind_proxy.issue(networks=("192.0.2.0/24", "2001:db8::/32", "127.0.0.0/8"))

    def status(*entries: str) -> int:
        headers = [("authorization", f"Bearer {key.text}"), *(("x-forwarded-for", entry) for entry in entries)]
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]}
        url = f"{behind_proxy.url}/v1/chat/completions"
        return httpx.post(url, json=body, headers=headers, timeout=10).status_code

    assert status("192.0.2.7") == 200
    assert status("203.0.113.9, 192.0.2.7") == 200
    assert status("192.0.2.7, 203.0.113.9") == 403  # what stands before was written by the caller
    assert status("192.0.2.7", "203.0.113.9") == 403
    assert status("2001:db8::5") == status("[2001:db8::5]:4711") == status("192.0.2.7:4711") == 200
    assert status("::ffff:192.0.2.7") == 200
    assert status("2001:db9::5") == status("unknown") == 403
    assert status() == status("") == status("192.0.2.7,") == 403  # the proxy's own address, 127.0.0.1, is nobody's


def test_a_change_of_networks_holds_from_the_next_call_on(gateway, key):
    assert key.chat().status_code == 200
    key.publish(networks=("192.0.2.0/24",))
    wait_for(lambda: key.chat().status_code == 403, "the refusal", 1.0)
    key.publish(networks=())
    wait_for(lambda: key.chat().status_code == 200, "the permission", 1.0)


def test_a_key_of_a_suspended_project(gateway):
    message = "The project Search is suspended. Ask your administrator."
    key = gateway.issue(block=Block(reason=Denied.PROJECT_SUSPENDED, message=message))
    answer = key.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, Denied.PROJECT_SUSPENDED)
    assert answer.json()["error"]["message"] == message
    assert gateway.one_denial(key).reason is Denied.PROJECT_SUSPENDED


def test_what_the_tenants_document_says_of_a_project_counts(gateway):
    """Stopping a project writes one document; those of its keys, which may be many, follow."""
    key = gateway.issue()
    gateway.block_tenant(key.tenant, stopped={"p_test": "suspended"})
    wait_for(lambda: key.chat().status_code == 402, "the stop", 1.0)
    assert gateway.one_denial(key).reason is Denied.PROJECT_SUSPENDED
    key.publish(block=Block(reason=Denied.PROJECT_SUSPENDED, message="still said by the key"))
    gateway.block_tenant(key.tenant)
    wait_for(lambda: key.chat().status_code == 200, "the resumption", 1.0)


def test_a_keys_tier_and_tags_stand_in_its_events(gateway):
    key = gateway.issue(tier="gold", tags={"cost-centre": "4711"})
    assert key.chat(headers={"x-spendops-tags": "cost-centre=1,team=search"}).status_code == 200
    event = gateway.one_event(key)
    assert (event.tier, event.tags) == ("gold", {"cost-centre": "4711", "team": "search"})
