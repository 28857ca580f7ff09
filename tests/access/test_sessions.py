"""A session's limits: idle, absolute, and the end of the person's account or passkey."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError

from access.models import Passkey, Session, User
from tests.browsing import Person

START = "2026-11-21T10:00:00Z"


@pytest.fixture
def clock(time_machine):
    time_machine.move_to(START, tick=False)
    return time_machine


def signed_in(person: Person, **headers: str) -> bool:
    return person.get("/session", headers=headers).json()["signed_in"]


def test_a_session_ends_when_it_was_idle(clock, ravi):
    clock.shift(settings.SESSION_IDLE_SECONDS)
    assert signed_in(ravi)
    clock.shift(settings.SESSION_IDLE_SECONDS)
    assert signed_in(ravi), "use keeps a session alive"
    clock.shift(settings.SESSION_IDLE_SECONDS + 1)
    assert not signed_in(ravi)
    assert not Session.objects.filter(user=ravi.user).exists()


def test_a_page_that_refreshes_itself_keeps_no_session_alive(clock, ravi):
    for _ in range(2):
        clock.shift(settings.SESSION_IDLE_SECONDS / 2)
        assert signed_in(ravi, x_spendops_background="1")
    clock.shift(1)
    assert not signed_in(ravi, x_spendops_background="1")


def test_a_session_ends_at_its_absolute_limit_however_busy(clock, ravi):
    step = settings.SESSION_IDLE_SECONDS
    for _ in range(settings.SESSION_ABSOLUTE_SECONDS // step):
        clock.shift(step)
        assert signed_in(ravi)
    clock.shift(1)
    assert not signed_in(ravi)


def test_confirming_does_not_lengthen_a_session(clock, ravi):
    clock.shift(timedelta(seconds=settings.SESSION_IDLE_SECONDS - 1))
    ravi.step_up()
    signed_in_at = Session.objects.get(user=ravi.user).created_at
    assert signed_in_at.isoformat() == "2026-11-21T10:00:00+00:00"


def test_a_session_without_its_stamps_has_ended(ravi):
    session = ravi.session
    del session["signed_in_at"]
    session.save()
    assert not signed_in(ravi)


def test_a_deactivated_person_is_out_with_the_next_request(ravi):
    User.objects.update(is_active=False)
    assert not signed_in(ravi)
    assert ravi.get("/passkeys").url == "/sign-in?next=%2Fpasskeys"


def test_a_disabled_passkey_opens_nothing_from_the_next_request_on(ravi):
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
