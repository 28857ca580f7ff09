"""What must happen once happens once, whoever else does the same at that moment. On a real PostgreSQL."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from access.models import EnrolmentLink, Passkey
from changes.actor import Actor
from tenants.bootstrap import bootstrap_admin
from tenants.models import Membership, Tenant
from tests.authenticator import Authenticator
from tests.browsing import Person

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

RUNNERS = 6


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run each in a thread of its own, all released at the same moment. An exception is a result too."""
    gate = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        gate.wait(timeout=30)
        try:
            results[place] = calls[place]()
        except Exception as error:
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def test_the_engine_is_postgresql():
    assert connection.vendor == "postgresql"


def test_one_link_enrols_one_passkey():
    token = bootstrap_admin(by=Actor.system("tests")).token
    people = [Person() for _ in range(RUNNERS)]
    bodies = []
    for person in people:
        options = person.send("/enrol/begin", {"token": token, "name": "Key"}).json()["options"]
        bodies.append({"token": token, "name": "Key", "credential": person.authenticator.create(options)})
    finish = [partial(person.send, "/enrol/finish", body) for person, body in zip(people, bodies, strict=True)]
    answers = at_once(*finish)
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * (RUNNERS - 1)
    assert Passkey.objects.count() == 1
    winner = people[[answer.status_code for answer in answers].index(200)]
    assert [person.get("/session").json()["signed_in"] for person in people] == [each is winner for each in people]


def test_commands_at_once_leave_one_valid_link():
    def command() -> str:
        out = StringIO()
        call_command("bootstrap_admin", "--json", stdout=out)
        return json.loads(out.getvalue())["url"].partition("#")[2]

    tokens = at_once(*[command] * RUNNERS)
    assert len(set(tokens)) == RUNNERS
    valid = [token for token in tokens if Person().send("/enrol/look", {"token": token}).status_code == 200]
    assert len(valid) == 1
    assert (Tenant.objects.count(), Membership.objects.count()) == (1, 2)
    assert EnrolmentLink.objects.count() == RUNNERS


def signed_in_admin() -> Person:
    person = Person()
    assert person.enrol(bootstrap_admin(by=Actor.system("tests")).token).status_code == 200
    return person


def test_one_answer_signs_in_once():
    admin = signed_in_admin()
    browser = Person(admin.authenticator)
    options = browser.send("/sign-in/begin").json()["options"]
    body = {"credential": browser.authenticator.get(options)}
    twins = [Person(admin.authenticator) for _ in range(RUNNERS)]
    for twin in twins:
        twin.cookies = browser.cookies.copy()
    answers = at_once(*(partial(twin.send, "/sign-in/finish", body) for twin in twins))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * (RUNNERS - 1)


def test_removing_two_passkeys_at_once_leaves_one():
    admin = signed_in_admin()
    another = Authenticator()
    options = admin.send("/passkeys/begin", {"name": "Two"}).json()["options"]
    admin.send("/passkeys/finish", {"name": "Two", "credential": another.create(options)})
    sessions = [Person(admin.authenticator), Person(another)]
    for session in sessions:
        session.sign_in()
    keys = list(Passkey.objects.values_list("pk", flat=True))
    # each session removes the passkey of the other
    at_once(
        partial(sessions[0].post, f"/passkeys/{keys[1]}/remove"),
        partial(sessions[1].post, f"/passkeys/{keys[0]}/remove"),
    )
    assert Passkey.objects.count() == 1
