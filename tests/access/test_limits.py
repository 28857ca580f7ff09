"""How often somebody may try: per address and per session, never per account."""

from __future__ import annotations

import math

import pytest
from django.test import RequestFactory

from access.addresses import client_address, neighbourhood
from access.limits import CEREMONIES, ENROLMENT, RECOVERY, Limit, take
from access.models import Bucket
from tests.browsing import Person

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(time_machine):
    time_machine.move_to("2026-11-21T10:00:00Z", tick=False)
    return time_machine


def test_a_bucket_empties_and_fills_evenly(clock):
    limit = Limit(attempts=3, seconds=60)
    assert [take("x", limit) for _ in range(4)] == [0, 0, 0, 20]
    clock.shift(19)
    assert take("x", limit) == 1
    clock.shift(1)
    assert [take("x", limit), take("x", limit)] == [0, 20]
    clock.shift(1000)
    assert [take("x", limit) for _ in range(4)] == [0, 0, 0, 20]


def test_buckets_are_told_apart_and_full_ones_are_thrown_away(clock):
    limit = Limit(attempts=1, seconds=60)
    assert [take("x", limit), take("y", limit), take("x", limit)] == [0, 0, 60]
    clock.shift(61)
    assert take("z", limit) == 0
    assert Bucket.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "limits"),
    [
        ("/recover/redeem", RECOVERY),
        ("/enrol/look", ENROLMENT),
        ("/enrol/begin", ENROLMENT),
        ("/enrol/finish", ENROLMENT),
        ("/join/look", ENROLMENT),
        ("/join/begin", ENROLMENT),
        ("/join/finish", ENROLMENT),
        ("/join/accept", ENROLMENT),
        ("/sign-in/begin", CEREMONIES),
        ("/sign-in/finish", CEREMONIES),
    ],
)
def test_an_address_that_tries_too_often_is_told_when_to_come_again(clock, path, limits):
    for _ in range(limits.address.attempts):
        assert Person().send(path).status_code != 429
    answer = Person().send(path)
    assert answer.status_code == 429
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == str(math.ceil(limits.address.interval / 1_000_000))
    assert answer.json()["code"] == "too_many_attempts"
    assert answer.json()["detail"].startswith("Too many attempts from here. Try again in ")
    elsewhere = Person(REMOTE_ADDR="192.0.2.44")
    assert elsewhere.send(path).status_code != 429
    clock.shift(math.ceil(limits.address.interval / 1_000_000))
    assert Person().send(path).status_code != 429


@pytest.mark.parametrize("path", ["/step-up/begin", "/step-up/finish", "/passkeys/begin", "/passkeys/finish"])
def test_a_session_that_tries_too_often_is_told_so(clock, ravi, path):
    ravi.sign_in()
    statuses = [ravi.send(path, {"name": "x"}).status_code for _ in range(CEREMONIES.session.attempts + 1)]
    assert statuses[-1] == 429


def test_others_failures_lock_nobody_out(clock, ravi):
    ravi.sign_in()
    attacker = Person(ravi.authenticator, REMOTE_ADDR="192.0.2.66")
    for _ in range(CEREMONIES.address.attempts + 1):
        refused = attacker.send("/sign-in/finish", {"credential": {"rawId": "AAAA"}})
    assert refused.status_code == 429
    assert Person(ravi.authenticator, REMOTE_ADDR="192.0.2.7").sign_in().status_code == 200


def test_the_address_is_the_peers_or_what_our_own_proxy_saw(settings):
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", headers={"x-forwarded-for": "6.6.6.6, 192.0.2.9"})
    settings.BEHIND_PROXY = False
    assert client_address(request) == "10.0.0.1"
    settings.BEHIND_PROXY = True
    assert client_address(request) == "192.0.2.9"
    assert client_address(RequestFactory().get("/", REMOTE_ADDR="10.0.0.1")) == "10.0.0.1"


def test_an_ipv6_customer_is_one_place():
    assert neighbourhood("2001:db8:1:2::1") == neighbourhood("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert neighbourhood("192.0.2.1") == "192.0.2.1"
    assert neighbourhood("unknown") == "unknown"
