"""What must happen once happens once, whoever else does the same at that moment. On a real PostgreSQL."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import QuerySet

from access.actions import issue_recovery_codes, remove_passkey
from access.limits import Limit, take
from access.models import Ceremony, EnrolmentLink, Passkey, RecoveryCode, User
from changes.actor import Actor
from tenants.actions.invitations import invite
from tenants.actions.members import remove_member
from tenants.bootstrap import bootstrap_admin
from tenants.models import Invitation, Membership, Tenant
from tenants.scope import across_tenants
from tests.authenticator import Authenticator
from tests.browsing import Person

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

RUNNERS = 6


def at_once(*calls: Callable[[], Any], holding: QuerySet[Any] | None = None) -> list[Any]:
    """Run each in a thread of its own, all at the same moment. An exception is a result too.

    With `holding`, those rows are locked until every thread waits for a lock, so that all have read before one writes.
    """
    results: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        try:
            results[place] = calls[place]()
        except Exception as error:
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    with transaction.atomic():
        if holding is not None:
            list(holding.select_for_update())
        for thread in threads:
            thread.start()
        if holding is not None:
            wait_for_waiting(len(calls))
    for thread in threads:
        thread.join(timeout=60)
    return results


def wait_for_waiting(count: int) -> None:
    """Until so many connections wait for a lock."""
    deadline = time.monotonic() + 30
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            waiting = cursor.fetchone()[0]
        if waiting == count:
            return
        assert time.monotonic() < deadline, f"{waiting} of {count} wait for a lock"
        time.sleep(0.01)


def test_the_engine_is_postgresql():
    assert connection.vendor == "postgresql"


def test_c04_one_enrolment_link_raced_enrols_one_passkey():
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


def test_c04_commands_at_once_leave_one_valid_link():
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


def test_c02_one_answer_raced_signs_in_once():
    admin = signed_in_admin()
    browser = Person(admin.authenticator)
    options = browser.send("/sign-in/begin").json()["options"]
    body = {"credential": browser.authenticator.get(options)}
    twins = [Person(admin.authenticator) for _ in range(RUNNERS)]
    for twin in twins:
        twin.cookies = browser.cookies.copy()
    sends = [partial(twin.send, "/sign-in/finish", body) for twin in twins]
    answers = at_once(*sends, holding=Ceremony.objects.all())
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * (RUNNERS - 1)
    assert Passkey.objects.get().confirmed, "an answer that is sent twice does not look like a copied passkey"


def test_removing_both_passkeys_at_once_leaves_one():
    admin = signed_in_admin()
    options = admin.send("/passkeys/begin", {"name": "Two"}).json()["options"]
    admin.send("/passkeys/finish", {"name": "Two", "credential": Authenticator().create(options)})
    by = Actor.system("tests")
    removals = [partial(remove_passkey, passkey=passkey, keep="", by=by) for passkey in Passkey.objects.all()]
    results = at_once(*removals, holding=Passkey.objects.all())
    assert sorted(type(result).__name__ for result in results) == ["LastPasskeyError", "NoneType"]
    assert Passkey.objects.count() == 1


def test_c04_one_recovery_code_raced_gives_one_link():
    admin = signed_in_admin()
    code = issue_recovery_codes(user=User.objects.get(), by=Actor.system("tests"))[0]
    sends = [partial(Person().send, "/recover/redeem", {"code": code}) for _ in range(RUNNERS)]
    answers = at_once(*sends, holding=RecoveryCode.objects.all())
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * (RUNNERS - 1)
    assert EnrolmentLink.objects.filter(purpose=EnrolmentLink.Purpose.RECOVERY).count() == 1
    assert admin.get("/session").json()["signed_in"], "a code alone ends nothing"


def invited(admin: Person) -> str:
    tenant, user = Tenant.objects.get(), User.objects.get()
    by = Actor("user", user.pk)
    kept = Invitation.Mail.KEPT
    return invite(tenant=tenant, email="ravi@example.com", role="auditor", mail=kept, by=by).token


def test_c04_one_invitation_raced_makes_one_member():
    token = invited(signed_in_admin())
    people = [Person() for _ in range(RUNNERS)]
    sends = []
    for person in people:
        body = {"token": token, "person": "Ravi", "name": "Phone"}
        options = person.send("/join/begin", body).json()["options"]
        sends.append(partial(person.send, "/join/finish", body | {"credential": person.authenticator.create(options)}))
    with across_tenants("the test holds the invitation"):
        answers = at_once(*sends, holding=Invitation.objects.all())
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * (RUNNERS - 1)
    assert (User.objects.count(), Passkey.objects.count(), Membership.objects.count()) == (2, 2, 3)


def test_two_admins_who_remove_each_other_at_once_leave_one():
    signed_in_admin()
    tenant, first, by = Tenant.objects.get(), User.objects.get(), Actor.system("tests")
    second = User.objects.create(email="second@example.com")
    Membership.objects.create(tenant=tenant, user=second, role="tenant_admin")
    removals = [partial(remove_member, tenant=tenant, user=user, by=by) for user in (first, second)]
    results = at_once(*removals, holding=Tenant.objects.all())
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "StatusError"]
    assert Membership.objects.filter(tenant=tenant, role="tenant_admin").count() == 1


def test_a_bucket_raced_gives_no_token_too_many():
    limit = Limit(attempts=3, seconds=3600)
    take("x", limit)
    waits = at_once(*[partial(take, "x", limit)] * RUNNERS)
    assert sorted(wait == 0 for wait in waits) == [False] * (RUNNERS - 2) + [True] * 2


def test_a_bucket_made_by_several_at_once_counts_each():
    limit = Limit(attempts=4, seconds=3600)
    waits = at_once(*[partial(take, "y", limit)] * RUNNERS)
    assert sum(wait == 0 for wait in waits) == 4
