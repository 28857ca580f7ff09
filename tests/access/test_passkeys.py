"""The page of one's own passkeys and sessions."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

from access.models import Passkey
from changes.models import AuditEvent
from tests.authenticator import Authenticator
from tests.browsing import Person


def add(person: Person, name: str = "Security key"):
    """Add a passkey on another authenticator; returns the answer and the authenticator."""
    another = Authenticator()
    begun = person.send("/passkeys/begin", {"name": name})
    if begun.status_code != 200:
        return begun, another
    credential = another.create(begun.json()["options"])
    return person.send("/passkeys/finish", {"name": name, "credential": credential}), another


def test_the_page_shows_passkeys(ravi):
    page = ravi.get("/passkeys").content.decode()
    assert "Test passkey" in page
    assert "You have one passkey" in page
    assert "Your last working passkey cannot be disabled or removed" in page


def test_adding_a_passkey_ends_other_sessions(ravi):
    other = Person(ravi.authenticator)
    other.sign_in()
    answer, another = add(ravi)
    assert answer.json()["next"] == "/passkeys"
    assert "Passkey “Security key” added" in ravi.get("/passkeys").content.decode()
    assert not other.get("/session").json()["signed_in"]
    assert Person(another).sign_in().status_code == 200


def test_an_authenticator_is_told_which_passkeys_exist(ravi):
    options = ravi.send("/passkeys/begin", {"name": "Again"}).json()["options"]
    assert len(options["excludeCredentials"]) == 1


def test_adding_needs_a_fresh_confirmation(ravi, time_machine):
    time_machine.move_to("2036-11-21T10:00:00Z", tick=False)
    ravi.sign_in()
    begun = ravi.send("/passkeys/begin", {"name": "x"})
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    credential = Authenticator().create(begun.json()["options"])
    late = ravi.send("/passkeys/finish", {"name": "x", "credential": credential})
    assert late.json()["code"] == "step_up_required"
    answer, _ = add(ravi)
    assert answer.json()["code"] == "step_up_required"
    assert Passkey.objects.count() == 1


def test_removing_a_passkey(ravi):
    _, another = add(ravi)
    newest = Passkey.objects.get(name="Security key")
    answer = ravi.post(f"/passkeys/{newest.pk}/remove", follow=True)
    assert "Passkey “Security key” removed" in answer.content.decode()
    assert Person(another).sign_in().status_code == 400
    event = AuditEvent.objects.get(kind="passkey.removed")
    assert event.before == {"name": "Security key", "user": ravi.user.pk}


def test_removing_the_passkey_in_use_signs_out(ravi):
    add(ravi)
    answer = ravi.post(f"/passkeys/{Passkey.objects.get(name='Test passkey').pk}/remove")
    assert answer.url == "/sign-in"
    assert not ravi.get("/session").json()["signed_in"]


def test_the_last_passkey_cannot_be_removed(ravi):
    answer = ravi.post(f"/passkeys/{Passkey.objects.get().pk}/remove", follow=True)
    assert "This is your last working passkey" in answer.content.decode()
    assert Passkey.objects.count() == 1


def test_a_disabled_passkey_is_no_second_one(ravi):
    add(ravi)
    Passkey.objects.filter(name="Security key").update(confirmed=False, disabled_reason="counter_went_back")
    page = ravi.get("/passkeys").content.decode()
    assert "was disabled: its counter went back" in page
    ravi.post(f"/passkeys/{Passkey.objects.get(name='Test passkey').pk}/remove")
    assert Passkey.objects.count() == 2
    ravi.post(f"/passkeys/{Passkey.objects.get(name='Security key').pk}/remove")
    assert Passkey.objects.count() == 1


def test_removing_needs_a_fresh_confirmation(ravi, time_machine):
    add(ravi)
    time_machine.move_to("2036-11-21T10:00:00Z", tick=False)
    ravi.sign_in()
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    answer = ravi.post(f"/passkeys/{Passkey.objects.first().pk}/remove")
    assert answer.status_code == 403
    assert Passkey.objects.count() == 2


def test_renaming_a_passkey(ravi):
    passkey = Passkey.objects.get()
    answer = ravi.post(f"/passkeys/{passkey.pk}/rename", {"name": "Work laptop"}, follow=True)
    assert "renamed to “Work laptop”" in answer.content.decode()
    event = AuditEvent.objects.get(kind="passkey.renamed")
    assert (event.before, event.after) == ({"name": "Test passkey"}, {"name": "Work laptop"})


@pytest.mark.parametrize("name", ["", " ", "x" * 65])
def test_a_bad_name_changes_nothing(ravi, name):
    answer = ravi.post(f"/passkeys/{Passkey.objects.get().pk}/rename", {"name": name}, follow=True)
    assert 'class="notice notice-bad" role="alert"' in answer.content.decode()
    assert Passkey.objects.get().name == "Test passkey"


def test_somebody_elses_passkey_does_not_exist(ravi, newcomer):
    other = newcomer("b@example.com")
    other.enrol(other.token)
    theirs = Passkey.objects.get(user=other.user)
    for verb in ("rename", "remove", "disable", "enable"):
        known = {"x-request-id": "the-same-request"}  # error pages name it
        stranger = ravi.post(f"/passkeys/{theirs.pk}/{verb}", {"name": "Mine"}, headers=known)
        missing = ravi.post(f"/passkeys/999999/{verb}", {"name": "Mine"}, headers=known)
        assert stranger.status_code == missing.status_code == 404
        pages = [re.sub(rb"[A-Za-z0-9]{64}", b"", answer.content) for answer in (stranger, missing)]  # CSRF tokens
        assert pages[0] == pages[1]
    assert Passkey.objects.get(pk=theirs.pk).name == "Test passkey"


def disable(person: Person, name: str, verb: str = "disable"):
    return person.post(f"/passkeys/{Passkey.objects.get(name=name).pk}/{verb}", follow=True)


def test_a_passkey_rests_and_comes_back(ravi):
    _, another = add(ravi)
    other = Person(another)
    other.sign_in()
    assert "Passkey “Security key” is disabled" in disable(ravi, "Security key").content.decode()
    assert not other.get("/session").json()["signed_in"]
    assert Person(another).sign_in().status_code == 400
    assert AuditEvent.objects.get(kind="passkey.disabled").after["reason"] == "by_owner"
    assert "“Security key” works again" in disable(ravi, "Security key", "enable").content.decode()
    assert Person(another).sign_in().status_code == 200
    assert AuditEvent.objects.filter(kind="passkey.enabled").count() == 1


def test_the_last_working_passkey_cannot_be_disabled(ravi):
    add(ravi)
    disable(ravi, "Security key")
    page = disable(ravi, "Test passkey").content.decode()
    assert "This is your last working passkey" in page
    assert Passkey.objects.get(name="Test passkey").confirmed


def test_disabling_the_passkey_in_use_signs_out(ravi):
    add(ravi)
    passkey = Passkey.objects.get(name="Test passkey")
    assert ravi.post(f"/passkeys/{passkey.pk}/disable").url == "/sign-in"
    assert not ravi.get("/session").json()["signed_in"]


def test_a_passkey_that_looked_copied_stays_disabled(ravi):
    add(ravi)
    Passkey.objects.filter(name="Security key").update(confirmed=False, disabled_reason="counter_went_back")
    assert "looks copied and stays disabled" in disable(ravi, "Security key", "enable").content.decode()
    assert not Passkey.objects.get(name="Security key").confirmed
    assert not re.search(r'action="/passkeys/[0-9]+/enable"', ravi.get("/passkeys").content.decode())


@pytest.mark.parametrize("verb", ["disable", "enable"])
def test_disabling_and_enabling_need_a_fresh_confirmation(ravi, time_machine, verb):
    add(ravi)
    passkey = Passkey.objects.get(name="Security key")
    Passkey.objects.filter(pk=passkey.pk).update(confirmed=verb == "disable", disabled_reason="by_owner")
    time_machine.move_to("2036-11-21T10:00:00Z", tick=False)
    ravi.sign_in()
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    assert ravi.post(f"/passkeys/{passkey.pk}/{verb}").status_code == 403
    assert Passkey.objects.get(pk=passkey.pk).confirmed == (verb == "disable")
