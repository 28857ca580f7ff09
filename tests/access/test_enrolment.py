"""Enrolling by a one-time link."""

from __future__ import annotations

from datetime import timedelta

import pytest

from access.actions import issue_enrolment_link
from access.models import EnrolmentLink, Passkey, Session
from access.rules import token_hash
from changes.actor import Actor
from changes.models import AuditEvent
from tests.browsing import Person


def begin(person: Person, token: str) -> dict:
    return person.send("/enrol/begin", {"token": token, "name": "Key"}).json()["options"]


def finish(person: Person, token: str, credential, name: str = "Key"):
    return person.send("/enrol/finish", {"token": token, "name": name, "credential": credential})


def test_a_link_enrols_a_passkey_and_signs_in(newcomer):
    person = newcomer()
    looked = person.send("/enrol/look", {"token": person.token})
    assert looked.json()["email"] == "ravi@example.com"
    answer = person.enrol(person.token, name=" Work laptop ")
    assert answer.status_code == 200
    assert answer.json()["next"] == "/recovery-codes"
    assert person.get("/session").json()["signed_in"]
    passkey = Passkey.objects.get()
    assert (passkey.user_id, passkey.name, passkey.transports) == (person.user.pk, "Work laptop", ["internal"])
    event = AuditEvent.objects.get(kind="passkey.enrolled")
    assert (event.actor_id, event.target_id) == (person.user.pk, str(passkey.pk))


def test_what_is_asked_of_the_authenticator(newcomer):
    person = newcomer()
    options = begin(person, person.token)
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["attestation"] == "none"
    assert options["rp"]["id"] == "localhost"
    assert len(bytes(person.user.handle)) == 64


def test_a_link_works_once(newcomer):
    person = newcomer()
    assert person.enrol(person.token).status_code == 200
    late = Person()
    for answer in (late.send("/enrol/look", {"token": person.token}), late.enrol(person.token)):
        assert answer.status_code == 404
        assert answer.json()["code"] == "link_not_valid"
    assert Passkey.objects.count() == 1


def test_a_link_begun_twice_is_used_once(newcomer):
    first = newcomer()
    second = Person()
    credentials = [each.authenticator.create(begin(each, first.token)) for each in (first, second)]
    assert finish(first, first.token, credentials[0]).status_code == 200
    assert finish(second, first.token, credentials[1]).status_code == 404
    assert Passkey.objects.count() == 1


def test_a_link_expires(newcomer, time_machine):
    time_machine.move_to("2026-11-21T10:00:00Z", tick=False)
    person = newcomer()
    credential = person.authenticator.create(begin(person, person.token))
    time_machine.shift(30 * 60)
    assert finish(person, person.token, credential).status_code == 404


def test_unknown_used_and_expired_links_are_answered_alike(newcomer):
    person = newcomer()
    EnrolmentLink.objects.update(expires_at="2020-01-01T00:00:00Z")
    expired = person.send("/enrol/look", {"token": person.token})
    unknown = person.send("/enrol/look", {"token": "A" * 43})
    no_text = person.send("/enrol/look", {"token": ["A"]})
    assert expired.content == unknown.content == no_text.content


def test_only_the_hash_of_a_token_is_kept(newcomer):
    person = newcomer()
    assert EnrolmentLink.objects.get().token_sha256 == token_hash(person.token)
    assert person.token not in str(list(AuditEvent.objects.values()))


def test_a_deactivated_persons_link_is_dead(newcomer):
    person = newcomer()
    person.user.is_active = False
    person.user.save()
    assert person.enrol(person.token).status_code == 404


def test_c01_a_link_enrols_no_passkey_without_user_verification(newcomer):
    person = newcomer()
    options = begin(person, person.token)
    person.authenticator.verifies_user = False
    answer = finish(person, person.token, person.authenticator.create(options))
    assert (answer.status_code, answer.json()["code"]) == (400, "ceremony_refused")
    assert not Passkey.objects.exists()
    assert EnrolmentLink.objects.get().used_at is None


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "http://127.0.0.1:8000"},
        {"client_data": {"crossOrigin": True}},
        {"client_data": {"challenge": "AAAA"}},
        {"client_data": {"type": "webauthn.get"}},
    ],
    ids=["wrong_origin", "cross_origin", "other_challenge", "other_type"],
)
def test_refusals_leave_the_link_unused(newcomer, lie):
    person = newcomer()
    options = begin(person, person.token)
    for name, value in lie.items():
        setattr(person.authenticator, name, value)
    answer = finish(person, person.token, person.authenticator.create(options))
    assert (answer.status_code, answer.json()["code"]) == (400, "ceremony_refused")
    assert not Passkey.objects.exists()
    assert EnrolmentLink.objects.get().used_at is None


def test_c02_a_ceremony_for_one_person_cannot_serve_another(newcomer):
    first, second = newcomer("a@example.com"), newcomer("b@example.com")
    credential = first.authenticator.create(begin(first, first.token))
    assert finish(first, second.token, credential).status_code == 400
    assert not Passkey.objects.exists()


def test_one_credential_is_enrolled_once(newcomer):
    first = newcomer("a@example.com")
    first.enrol(first.token)
    second = newcomer("b@example.com", first.authenticator)
    answer = second.enrol(second.token)
    assert (answer.status_code, answer.json()["code"]) == (409, "passkey_known")
    assert EnrolmentLink.objects.filter(user=second.user, used_at=None).exists(), "nothing half-written"


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, None, ["a"]])
def test_a_passkey_needs_a_name(newcomer, name):
    person = newcomer()
    answer = person.send("/enrol/begin", {"token": person.token, "name": name})
    assert answer.status_code == 422
    assert "name" in answer.json()["detail"]


def test_enrolling_again_ends_the_sessions_before(ravi, newcomer):
    link = issue_enrolment_link(
        user=ravi.user, purpose=EnrolmentLink.Purpose.RECOVERY, lifetime=timedelta(minutes=30), by=Actor.system("tests")
    )
    again = Person()
    assert again.enrol(link.token).status_code == 200
    assert not ravi.get("/session").json()["signed_in"]
    assert Session.objects.filter(user=ravi.user).count() == 1


def test_a_new_link_ends_the_one_before(newcomer):
    person = newcomer()
    fresh = issue_enrolment_link(
        user=person.user, purpose=EnrolmentLink.Purpose.FIRST_ADMIN, lifetime=timedelta(1), by=Actor.system("tests")
    )
    assert person.enrol(person.token).status_code == 404
    assert person.enrol(fresh.token).status_code == 200


def test_the_page_keeps_the_token_out_of_every_address(db):
    page = Person().get("/enrol").content.decode()
    assert 'data-passkey="enrol"' in page
    assert "action=" not in page
