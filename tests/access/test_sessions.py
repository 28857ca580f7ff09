"""A session's limits: idle, absolute, and the end of the person's account or passkey."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError

from access.models import Passkey, Session, User
from access.rules import token_hash
from changes.models import AuditEvent
from tenants.models import Membership
from tenants.permissions import Role
from tests.browsing import Person
from tests.tenants.making import make_tenant

START = "2026-11-21T10:00:00Z"


@pytest.fixture
def reader(clock, ravi) -> Person:
    """Ravi, who may only read in one tenant, just signed in."""
    Membership.objects.create(user=ravi.user, tenant=make_tenant(), role=Role.FINANCE_VIEWER)
    ravi.sign_in()
    return ravi


@pytest.fixture
def clock(time_machine):
    time_machine.move_to(START, tick=False)
    return time_machine


def signed_in(person: Person, **headers: str) -> bool:
    return person.get("/session", headers=headers).json()["signed_in"]


def test_c06_a_session_ends_when_it_was_idle(clock, ravi):
    clock.shift(settings.SESSION_IDLE_SECONDS)
    assert signed_in(ravi)
    clock.shift(settings.SESSION_IDLE_SECONDS)
    assert signed_in(ravi), "use keeps a session alive"
    clock.shift(settings.SESSION_IDLE_SECONDS + 1)
    assert not signed_in(ravi)
    assert not Session.objects.filter(user=ravi.user).exists()


def test_c06_a_page_that_refreshes_itself_keeps_no_session_alive(clock, ravi):
    for _ in range(2):
        clock.shift(settings.SESSION_IDLE_SECONDS / 2)
        assert signed_in(ravi, x_spendops_background="1")
    clock.shift(1)
    assert not signed_in(ravi, x_spendops_background="1")


def test_c06_a_session_ends_at_its_absolute_limit_however_busy(clock, ravi):
    step = settings.SESSION_IDLE_SECONDS
    for _ in range(settings.SESSION_ABSOLUTE_SECONDS // step):
        clock.shift(step)
        assert signed_in(ravi)
    clock.shift(1)
    assert not signed_in(ravi)


def test_c06_a_readers_session_may_rest_for_longer(clock, reader):
    clock.shift(settings.READER_SESSION_IDLE_SECONDS)
    assert signed_in(reader)
    clock.shift(settings.READER_SESSION_IDLE_SECONDS + 1)
    assert not signed_in(reader)


def test_c06_a_readers_session_has_an_absolute_limit_too(clock, reader):
    step = settings.READER_SESSION_IDLE_SECONDS
    for _ in range(settings.READER_SESSION_ABSOLUTE_SECONDS // step):
        clock.shift(step)
        assert signed_in(reader)
    clock.shift(1)
    assert not signed_in(reader)


@pytest.mark.parametrize("role", [Role.TENANT_ADMIN, Role.PLATFORM_ADMIN])
def test_c06_whoever_is_an_admin_anywhere_has_the_short_limits(clock, reader, role):
    tenant = None if role == Role.PLATFORM_ADMIN else make_tenant("Other")
    Membership.objects.create(user=reader.user, tenant=tenant, role=role)
    clock.shift(settings.SESSION_IDLE_SECONDS + 1)
    assert not signed_in(reader)


def test_c06_the_list_shows_living_sessions_only(clock, ravi):
    clock.shift(settings.SESSION_IDLE_SECONDS + 1)
    ravi.sign_in()
    assert ravi.get("/sessions").content.decode().count("This one") == 1
    assert "This is your only session." in ravi.get("/sessions").content.decode()


def test_c06_confirming_does_not_lengthen_a_session(clock, ravi):
    clock.shift(timedelta(seconds=settings.SESSION_IDLE_SECONDS - 1))
    ravi.step_up()
    signed_in_at = Session.objects.get(user=ravi.user).created_at
    assert signed_in_at.isoformat() == "2026-11-21T10:00:00+00:00"


def test_a_session_without_its_stamps_has_ended(ravi):
    session = ravi.session
    del session["signed_in_at"]
    session.save()
    assert not signed_in(ravi)


def test_c07_a_deactivated_person_is_out_with_the_next_request(ravi):
    User.objects.update(is_active=False)
    assert not signed_in(ravi)
    assert ravi.get("/passkeys").url == "/sign-in?next=%2Fpasskeys"


def test_c07_a_removed_role_opens_nothing_from_the_next_request_on(reader):
    assert reader.get("/settings").status_code == 403
    membership = Membership.objects.filter(user=reader.user)
    membership.update(role=Role.TENANT_ADMIN)
    assert reader.get("/settings").status_code == 200
    membership.delete()
    refused = reader.get("/settings")
    assert refused.status_code == 403
    assert "You belong to no tenant" in refused.content.decode()


def test_c07_a_disabled_passkey_opens_nothing_from_the_next_request_on(ravi):
    Passkey.objects.update(confirmed=False)
    assert not signed_in(ravi)


def test_an_ended_session_is_not_brought_back_by_a_request_that_still_runs(ravi):
    running = ravi.session
    running["something"] = 1
    Session.objects.all().delete()
    with pytest.raises(UpdateError):
        running.save()
    assert not Session.objects.exists()


def test_expired_sessions_are_cleared_at_the_next_sign_in(clock, ravi):
    clock.shift(settings.SESSION_ABSOLUTE_SECONDS + 1)
    Person(ravi.authenticator).sign_in()
    assert Session.objects.count() == 1


def test_ending_all_other_sessions(ravi):
    other = Person(ravi.authenticator)
    other.sign_in()
    answer = ravi.post("/sessions/end-others", follow=True)
    assert "Other sessions ended: 1." in answer.content.decode()
    assert signed_in(ravi)
    assert not signed_in(other)


def test_the_page_lists_sessions_and_ends_one(ravi):
    other = Person(ravi.authenticator, HTTP_USER_AGENT="Firefox/140.0 (X11; Linux)")
    other.sign_in()
    page = ravi.get("/sessions").content.decode()
    assert "This one" in page
    assert "Firefox on Linux" in page
    assert "127.0.0.1" in page
    kept_key = token_hash(other.cookies[settings.SESSION_COOKIE_NAME].value)
    answer = ravi.post(f"/sessions/{kept_key}/end", follow=True)
    assert "That session is ended." in answer.content.decode()
    assert not signed_in(other)
    assert signed_in(ravi)
    assert AuditEvent.objects.get(kind="session.ended").target_id == ravi.user.pk
    assert ravi.post(f"/sessions/{kept_key}/end").status_code == 404


def test_ending_ones_own_session_signs_out(ravi):
    kept_key = token_hash(ravi.cookies[settings.SESSION_COOKIE_NAME].value)
    assert ravi.post(f"/sessions/{kept_key}/end").url == "/sign-in"
    assert not signed_in(ravi)
    assert not Session.objects.filter(user=ravi.user).exists()


def test_somebody_elses_session_cannot_be_ended(ravi, newcomer):
    other = newcomer("b@example.com")
    other.enrol(other.token)
    kept_key = token_hash(other.cookies[settings.SESSION_COOKIE_NAME].value)
    assert ravi.post(f"/sessions/{kept_key}/end").status_code == 404
    assert signed_in(other)
