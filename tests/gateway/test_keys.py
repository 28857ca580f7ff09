"""C11 at a real gateway: a key's checksum, its expiry, and peppers that follow each other without new keys."""

from __future__ import annotations

import time

import httpx
import msgspec
import pytest

from tests.gateway.peers import GatewayUnderTest, IssuedKey, wait_for
from wire.documents import KeyPolicy, encode, key_document
from wire.events import Denied
from wire.ids import BASE62
from wire.keys import key_hash, new_key
from wire.kv.base import Write

OLD, NEW, NEWEST = "the first pepper, of 32 or more characters", "a second pepper" * 4, "the third pepper" * 4


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def publish(gateway: GatewayUnderTest, pepper: str) -> IssuedKey:
    """A key that stands in KV under a pepper."""
    made = new_key(gateway.env)
    rev = gateway.rev()
    policy = KeyPolicy(rev=rev, env=gateway.env, tenant="t_test", project="p_test", key=made.public_id)
    gateway.write(Write(key_document(key_hash(made.text, pepper.encode())), rev, encode(policy)))
    return IssuedKey(gateway, made.text, made.public_id, "t_test")


def test_c11_a_checksum_that_does_not_fit_is_said_to_be_a_typing_mistake(gateway, key):
    assert key.chat().status_code == 200
    mistyped = [key.text[:at] + BASE62[(BASE62.index(key.text[at]) + 1) % 62] + key.text[at + 1 :] for at in (20, -1)]
    for text in [*mistyped, key.text[:-1], key.text + "a"]:
        answer = IssuedKey(gateway, text, key.id, key.tenant).chat()
        assert (answer.status_code, code_of(answer)) == (401, Denied.KEY_MALFORMED)
    stranger = IssuedKey(gateway, new_key("dev").text, "", "")
    assert code_of(stranger.chat()) == Denied.KEY_UNKNOWN  # well formed, and nobody's


def test_c11_an_expired_key_is_refused_from_its_moment_on(gateway):
    ends = time.time() + 1.5
    key = gateway.issue(expires=int(ends * 1000))
    first = key.chat()
    assert first.status_code == 200
    refused = wait_for(lambda: (answer := key.chat()).status_code == 401 and answer, "the end of the key")
    assert code_of(refused) == Denied.KEY_EXPIRED
    assert time.time() >= ends  # it was not refused before


def test_c11_a_second_pepper_leaves_the_keys_of_the_first_as_they_are(make_gateway):
    gateway = make_gateway(SPENDOPS_KEY_PEPPER=OLD).start()
    first = publish(gateway, OLD)
    assert first.chat().status_code == 200
    assert gateway.stop() == 0

    gateway.settings |= {"SPENDOPS_KEY_PEPPER_V2": NEW, "SPENDOPS_KEY_PEPPER_V4": NEWEST}
    gateway.start()
    second, third = publish(gateway, NEW), publish(gateway, NEWEST)
    for key in (first, second, third):
        assert key.chat().status_code == 200
        wait_for(lambda key=key: gateway.usage(key), "a usage event of the key")
    unknown = publish(gateway, "a pepper that this gateway was not given")
    assert code_of(unknown.chat()) == Denied.KEY_UNKNOWN
    assert gateway.stop() == 0

    del gateway.settings["SPENDOPS_KEY_PEPPER_V2"]
    gateway.start()
    assert [key.chat().status_code for key in (first, second, third)] == [200, 401, 200]


def test_c11_a_policy_under_one_pepper_is_the_one_that_counts(make_gateway):
    """A key that stands under two peppers, as while it moves from one to the other, is refused by the newer's word."""
    gateway = make_gateway(SPENDOPS_KEY_PEPPER=OLD, SPENDOPS_KEY_PEPPER_V2=NEW).start()
    key = publish(gateway, OLD)
    assert key.chat().status_code == 200
    rev = gateway.rev()
    policy = KeyPolicy(rev=rev, env="dev", tenant="t_test", project="p_test", key=key.id)
    revoked = msgspec.structs.replace(policy, status="revoked")
    gateway.write(Write(key_document(key_hash(key.text, NEW.encode())), rev, encode(revoked)))
    refused = wait_for(lambda: (answer := key.chat()).status_code == 401 and answer, "the refusal")
    assert code_of(refused) == Denied.KEY_REVOKED


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_c11_each_way_to_send_a_key_finds_old_peppers(make_gateway, header):
    gateway = make_gateway(SPENDOPS_KEY_PEPPER=OLD, SPENDOPS_KEY_PEPPER_V2=NEW).start()
    key = publish(gateway, OLD)
    sent = f"Bearer {key.text}" if header == "authorization" else key.text
    assert httpx.get(f"{gateway.url}/v1/models", headers={header: sent}, timeout=10).status_code == 200
