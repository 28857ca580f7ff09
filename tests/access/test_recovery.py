"""Recovery codes: made once, shown once, used once, and good for the enrolment of a passkey only."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

from access.models import EnrolmentLink, Passkey, RecoveryCode, User
from access.rules import new_recovery_code, plain_code
from changes.models import AuditEvent
from tests.browsing import Person

CODE = re.compile(r"(?:[0-9a-f]{4}-){7}[0-9a-f]{4}")


def make_codes(person: Person) -> list[str]:
    answer = person.post("/recovery-codes")
    assert answer.status_code == 200
    shown = re.search(r"<pre.*?</pre>", answer.content.decode(), re.DOTALL)
    return CODE.findall(shown[0])


def redeem(code: object, person: Person | None = None):
    return (person or Person()).send("/recover/redeem", {"code": code})


def token_of(answer) -> str:
    return answer.json()["next"].partition("#")[2]


def test_codes_have_128_bits_and_are_told_however_they_are_typed():
    codes = {new_recovery_code() for _ in range(50)}
    assert len(codes) == 50
    for code in codes:
        assert len(bytes.fromhex(plain_code(f" {code.upper().replace('-', ' ')} "))) == 16


def test_ten_codes_are_shown_once(ravi):
    codes = make_codes(ravi)
    assert len(set(codes)) == 10
    page = ravi.get("/recovery-codes")
    assert "10 of 10 left" in page.content.decode()
    assert not CODE.search(page.content.decode())
    assert "no-store" in page.headers["Cache-Control"]
    event = AuditEvent.objects.get(kind="recovery_codes.issued")
    assert (event.target_id, event.after) == (ravi.user.pk, {"codes": 10, "ended": 0})


def test_only_hashes_of_codes_are_kept(ravi):
    codes = make_codes(ravi)
    kept = str(list(RecoveryCode.objects.values())) + str(list(AuditEvent.objects.values()))
    assert not [code for code in codes if code in kept or plain_code(code) in kept]


def test_a_code_opens_the_enrolment_of_a_passkey_and_nothing_else(ravi):
    code = make_codes(ravi)[3]
    stranger = Person()
    answer = redeem(code.upper(), stranger)
    assert answer.status_code == 200
    assert answer.json()["next"].startswith("/enrol#")
    assert not stranger.get("/session").json()["signed_in"]
    assert stranger.get("/passkeys").status_code == 302
    assert stranger.enrol(token_of(answer), "New phone").status_code == 200
    assert stranger.get("/session").json()["signed_in"]
    assert not ravi.get("/session").json()["signed_in"], "sessions elsewhere end"
    assert set(Passkey.objects.values_list("user_id", "name")) == {
        (ravi.user.pk, "Test passkey"),
        (ravi.user.pk, "New phone"),
    }
    assert "9 of 10 left" in stranger.get("/recovery-codes").content.decode()
    event = AuditEvent.objects.get(kind="recovery_code.used")
    assert (event.actor_id, event.after) == (ravi.user.pk, {"left": 9})


def test_a_code_works_once(ravi):
    code = make_codes(ravi)[0]
    assert redeem(code).status_code == 200
    assert redeem(code).status_code == 404
    assert EnrolmentLink.objects.filter(purpose="recovery").count() == 1


def test_the_link_of_a_code_lasts_minutes(ravi, time_machine):
    time_machine.move_to("2036-11-21T10:00:00Z", tick=False)
    ravi.sign_in()
    token = token_of(redeem(make_codes(ravi)[0]))
    time_machine.shift(10 * 60)
    assert Person().enrol(token).status_code == 404


def test_new_codes_end_the_old_ones(ravi):
    old = make_codes(ravi)
    make_codes(ravi)
    assert redeem(old[0]).status_code == 404
    assert RecoveryCode.objects.count() == 10


def test_making_codes_needs_a_fresh_confirmation(ravi, time_machine):
    time_machine.move_to("2036-11-21T10:00:00Z", tick=False)
    ravi.sign_in()
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    assert ravi.post("/recovery-codes").status_code == 403
    assert not RecoveryCode.objects.exists()


def test_every_code_that_does_not_work_gets_one_answer(ravi):
    codes = make_codes(ravi)
    redeem(codes[0])
    answers = [redeem(code) for code in (codes[0], new_recovery_code(), "", ["x"])]
    User.objects.update(is_active=False)
    answers.append(redeem(codes[1]))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["code"] == "code_not_valid"


def test_whoever_has_codes_is_not_asked_to_make_them_again(ravi, newcomer):
    code = make_codes(ravi)[0]
    again = Person()
    assert again.enrol(token_of(redeem(code))).json()["next"] == settings.LOGIN_REDIRECT_URL


@pytest.mark.parametrize("path", ["/recover", "/sign-in"])
def test_pages_lead_to_recovery(db, path):
    assert "recovery code" in Person().get(path).content.decode()
