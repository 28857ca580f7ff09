"""Signing in: who gets in, and every way in which nobody does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings

from access.models import Ceremony, Passkey, Session, User
from changes.models import AuditEvent
from tests.authenticator import Authenticator
from tests.browsing import Person


def signed_in(person: Person) -> bool:
    return person.get("/session").json()["signed_in"]


def cookie(person: Person) -> str:
    return person.cookies[settings.SESSION_COOKIE_NAME].value


def other_browser(person: Person) -> Person:
    """The same passkey in another browser, not signed in."""
    return Person(person.authenticator)


def finish(person: Person, credential) -> object:
    return person.send("/sign-in/finish", {"credential": credential})


def begin(person: Person) -> dict:
    return person.send("/sign-in/begin").json()["options"]


def test_a_passkey_signs_in_without_a_name(ravi):
    browser = other_browser(ravi)
    options = begin(browser)
    assert options["userVerification"] == "required"
    assert not options.get("allowCredentials")
    answer = finish(browser, browser.authenticator.get(options))
    assert answer.status_code == 200
    assert answer.json()["next"] == "/"
    assert signed_in(browser)
    passkey = Passkey.objects.get()
    assert (passkey.sign_count, passkey.last_used_at is not None) == (1, True)
    event = AuditEvent.objects.filter(kind="user.signed_in").get()
    assert (event.actor_id, event.address) == (ravi.user.pk, "127.0.0.1")


def test_the_way_back_is_kept_on_this_site(ravi):
    for asked, led in {
        "/keys?status=active": "/keys?status=active",
        "https://evil.example/keys": "/",
        "//evil.example": "/",
        "/\\evil.example": "/",
        "javascript:alert(1)": "/",
    }.items():
        browser = other_browser(ravi)
        credential = browser.authenticator.get(begin(browser))
        answer = browser.send("/sign-in/finish", {"credential": credential, "next": asked})
        assert answer.json()["next"] == led, asked


def test_c05_the_session_id_changes_at_sign_in_and_the_old_one_is_dead(ravi):
    browser = other_browser(ravi)
    options = begin(browser)
    before = cookie(browser)
    assert finish(browser, browser.authenticator.get(options)).status_code == 200
    after = cookie(browser)
    assert before != after
    browser.sign_in()  # once more, while signed in
    assert cookie(browser) not in (before, after)
    for old in (before, after):
        thief = Person()
        thief.cookies[settings.SESSION_COOKIE_NAME] = old
        assert not signed_in(thief)


def test_the_session_table_holds_no_cookie(ravi):
    held = cookie(ravi)
    assert held not in json.dumps(list(Session.objects.values_list("session_key", "session_data")))
    row = Session.objects.get(user=ravi.user)
    assert row.address == "127.0.0.1"


# -- refusals: each for its own reason, all with one answer


def unknown_credential(browser, options, moment):
    stranger = Authenticator(handle=browser.authenticator.handle)
    return stranger.get(options)


def forged_signature(browser, options, moment):
    forger = Authenticator(id=browser.authenticator.id, handle=browser.authenticator.handle, count=98)
    return forger.get(options)


def wrong_origin(browser, options, moment):
    browser.authenticator.origin = "http://localhost:1"
    return browser.authenticator.get(options)


def verification_stripped(browser, options, moment):
    browser.authenticator.verifies_user = False
    return browser.authenticator.get(options)


def cross_origin(browser, options, moment):
    browser.authenticator.client_data = {"crossOrigin": True}
    return browser.authenticator.get(options)


def top_origin(browser, options, moment):
    browser.authenticator.client_data = {"topOrigin": "https://evil.example"}
    return browser.authenticator.get(options)


def other_challenge(browser, options, moment):
    return browser.authenticator.get(options | {"challenge": "AAAA"})


def other_account(browser, options, moment):
    browser.authenticator.handle = b"somebody else"
    return browser.authenticator.get(options)


def expired(browser, options, moment):
    credential = browser.authenticator.get(options)
    moment.shift(settings.CEREMONY_SECONDS + 1)
    return credential


def deactivated(browser, options, moment):
    User.objects.update(is_active=False)
    return browser.authenticator.get(options)


def disabled(browser, options, moment):
    Passkey.objects.update(confirmed=False)
    return browser.authenticator.get(options)


def not_an_object(browser, options, moment):
    return [1, 2]


def nothing(browser, options, moment):
    return None


def half_an_answer(browser, options, moment):
    credential = browser.authenticator.get(options)
    return credential | {"response": {"clientDataJSON": credential["response"]["clientDataJSON"]}}


def garbage(browser, options, moment):
    return browser.authenticator.get(options) | {"rawId": "%%%", "id": "%%%"}


REFUSED = [
    unknown_credential,
    forged_signature,
    wrong_origin,
    verification_stripped,
    cross_origin,
    top_origin,
    other_challenge,
    other_account,
    expired,
    deactivated,
    disabled,
    not_an_object,
    nothing,
    half_an_answer,
    garbage,
]


@pytest.mark.parametrize("lie", REFUSED, ids=lambda lie: lie.__name__)
def test_refusals_tell_nothing_and_leave_nobody_signed_in(ravi, lie, time_machine):
    time_machine.move_to("2026-11-21T10:00:00Z", tick=False)
    browser = other_browser(ravi)
    credential = lie(browser, begin(browser), time_machine)
    answer = finish(browser, credential)
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "code": "ceremony_refused",
        "detail": "The passkey was not accepted. Try again.",
    }
    assert not signed_in(browser)
    assert not Ceremony.objects.exists()  # the challenge is used up, whatever came of it


def test_c01_an_answer_without_user_verification_does_not_sign_in(ravi):
    browser = other_browser(ravi)
    answer = finish(browser, verification_stripped(browser, begin(browser), None))
    assert (answer.status_code, answer.json()["code"]) == (400, "ceremony_refused")
    assert not signed_in(browser)


def test_c01_an_answer_without_user_verification_does_not_confirm(ravi, time_machine):
    ravi.sign_in()
    time_machine.move_to(datetime.now(UTC) + timedelta(seconds=settings.STEP_UP_SECONDS + 1), tick=False)
    options = ravi.send("/step-up/begin").json()["options"]
    ravi.authenticator.verifies_user = False
    answer = ravi.send("/step-up/finish", {"credential": ravi.authenticator.get(options)})
    assert (answer.status_code, answer.json()["code"]) == (400, "ceremony_refused")
    assert ravi.send("/step-up/begin").json()["fresh"] is False


def test_c01_a_passkey_made_without_user_verification_is_not_added(ravi):
    weak = Authenticator(verifies_user=False)
    options = ravi.send("/passkeys/begin", {"name": "Two"}).json()["options"]
    answer = ravi.send("/passkeys/finish", {"name": "Two", "credential": weak.create(options)})
    assert (answer.status_code, answer.json()["code"]) == (400, "ceremony_refused")
    assert Passkey.objects.count() == 1


@pytest.mark.parametrize("after", [0, 1])
def test_c02_an_answer_is_refused_once_its_time_is_over(ravi, time_machine, after):
    time_machine.move_to("2036-11-21T10:00:00Z", tick=False)
    browser = other_browser(ravi)
    credential = browser.authenticator.get(begin(browser))
    time_machine.shift(settings.CEREMONY_SECONDS + after)
    assert finish(browser, credential).status_code == (400 if after else 200)


def test_c02_a_replayed_answer_is_refused(ravi):
    browser = other_browser(ravi)
    credential = browser.authenticator.get(begin(browser))
    assert finish(browser, credential).status_code == 200
    assert finish(browser, credential).status_code == 400


def test_c02_an_answer_is_taken_in_the_browser_that_asked(ravi):
    asked, thief = other_browser(ravi), Person()
    credential = asked.authenticator.get(begin(asked))
    begin(thief)
    assert finish(thief, credential).status_code == 400


def test_c02_a_challenge_serves_its_own_purpose_only(ravi):
    """An answer for signing in does not confirm, and one for confirming does not sign in; both are used up."""
    options = begin(ravi)
    credential = ravi.authenticator.get(options)
    assert ravi.send("/step-up/finish", {"credential": credential}).status_code == 400
    assert finish(ravi, credential).status_code == 400

    action = {"method": "POST", "path": "/x", "query": "", "fields": []}
    options = ravi.send("/step-up/begin", {"action": action}).json()["options"]
    credential = ravi.authenticator.get(options)
    assert finish(ravi, credential).status_code == 400
    assert ravi.send("/step-up/finish", {"credential": credential}).status_code == 400


def test_c02_confirming_and_adding_have_challenges_of_their_own(ravi):
    another = Authenticator()
    asked = ravi.send("/passkeys/begin", {"name": "Two"}).json()["options"]
    answer = ravi.send("/step-up/finish", {"credential": ravi.authenticator.get(asked)})
    assert answer.json()["code"] == "ceremony_refused"

    action = {"method": "POST", "path": "/x", "query": "", "fields": []}
    challenge = ravi.send("/step-up/begin", {"action": action}).json()["options"]["challenge"]
    credential = another.create(asked | {"challenge": challenge})
    answer = ravi.send("/passkeys/finish", {"name": "Two", "credential": credential})
    assert answer.json()["code"] == "ceremony_refused"
    assert Passkey.objects.count() == 1


def test_a_forged_low_counter_cannot_disable_a_key(ravi):
    ravi.sign_in()
    forger = Authenticator(id=ravi.authenticator.id, handle=ravi.authenticator.handle, count=-1)
    browser = Person(forger)
    assert browser.sign_in().status_code == 400
    assert Passkey.objects.get().confirmed
    assert signed_in(ravi)


def test_a_counter_that_went_back_disables_the_key_and_ends_its_sessions(ravi):
    ravi.sign_in()
    ravi.sign_in()
    ravi.authenticator.count = 0  # a copy, made before
    browser = other_browser(ravi)
    assert browser.sign_in().status_code == 400
    passkey = Passkey.objects.get()
    assert (passkey.confirmed, passkey.disabled_reason) == (False, "counter_went_back")
    assert not signed_in(ravi)
    assert not Session.objects.filter(user=ravi.user).exists()
    event = AuditEvent.objects.get(kind="passkey.disabled")
    assert event.after["reason"] == "counter_went_back"


def test_a_counter_that_went_back_in_a_step_up_gets_the_same_answer(ravi, time_machine):
    ravi.sign_in()
    time_machine.move_to(datetime.now(UTC) + timedelta(seconds=settings.STEP_UP_SECONDS + 1), tick=False)
    options = ravi.send("/step-up/begin").json()["options"]
    ravi.authenticator.count = 0
    answer = ravi.send("/step-up/finish", {"credential": ravi.authenticator.get(options)})
    assert (answer.status_code, answer.json()["code"]) == (400, "ceremony_refused")
    assert not signed_in(ravi)


def test_a_key_without_a_counter_keeps_working(ravi):
    for _ in range(2):
        ravi.authenticator.count = -1  # synced passkeys always say 0
        assert other_browser(ravi).sign_in().status_code == 200


def test_signing_out_ends_the_session(ravi):
    held = cookie(ravi)
    answer = ravi.post("/sign-out")
    assert answer.url == "/sign-in"
    thief = Person()
    thief.cookies[settings.SESSION_COOKIE_NAME] = held
    assert not signed_in(ravi)
    assert not signed_in(thief)
    assert AuditEvent.objects.filter(kind="user.signed_out", target_id=ravi.user.pk).exists()


def test_the_sign_in_page(ravi):
    page = Person().get("/sign-in?next=/keys")
    assert page.status_code == 200
    assert 'data-next="/keys"' in page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    assert ravi.get("/sign-in?next=/keys").url == "/keys"


def test_ceremonies_need_the_csrf_token(ravi):
    browser = Person(ravi.authenticator, enforce_csrf_checks=True)
    assert browser.send("/sign-in/begin").status_code == 403


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(db, body):
    answer = Person().post("/sign-in/begin", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "not_json"
