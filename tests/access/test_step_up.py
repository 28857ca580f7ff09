"""Step-up: a dangerous request runs when it was confirmed lately, or confirmed as it is; otherwise nothing happens."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from access.step_up import step_up_required
from tenants.permissions import signed_in
from tests.browsing import Person

done: list[str] = []


@signed_in
@step_up_required
def fresh(request: HttpRequest) -> HttpResponse:
    done.append(request.method)
    return HttpResponse("done")


@signed_in
@step_up_required(bound=True)
def bound(request: HttpRequest, name: str) -> HttpResponse:
    done.append(f"{name} {request.POST.get('amount')}")
    return HttpResponse("done")


urlpatterns = [path("fresh", fresh), path("bound/<str:name>", bound), path("", include(settings.ROOT_URLCONF))]


@pytest.fixture(autouse=True)
def _dangerous_views(settings, time_machine):
    settings.ROOT_URLCONF = __name__
    done.clear()
    time_machine.move_to("2026-11-21T10:00:00Z", tick=False)


def refused(answer) -> bool:
    said = answer.status_code == 403 and answer.headers["X-SpendOps-Step-Up"] == "required"
    assert said == (not done)
    return said


def program(person: Person, path: str, data: dict | None = None):
    return person.post(path, data or {}, headers={"accept": "application/json"})


def test_signing_in_counts_for_a_while(ravi, time_machine):
    assert program(ravi, "/fresh").status_code == 200
    done.clear()
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    answer = program(ravi, "/fresh")
    assert refused(answer)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "step_up_required"


def test_confirming_opens_it_again(ravi, time_machine):
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    assert ravi.send("/step-up/begin").json()["fresh"] is False
    ravi.step_up()
    assert program(ravi, "/fresh").status_code == 200


def test_c05_the_session_id_changes_at_a_step_up_and_the_old_one_is_dead(ravi, time_machine):
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    before = ravi.cookies[settings.SESSION_COOKIE_NAME].value
    ravi.step_up()
    assert ravi.cookies[settings.SESSION_COOKIE_NAME].value != before
    assert ravi.get("/session").json()["signed_in"]
    thief = Person()
    thief.cookies[settings.SESSION_COOKIE_NAME] = before
    assert not thief.get("/session").json()["signed_in"]


def test_reading_needs_no_confirmation(ravi, time_machine):
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    assert ravi.get("/fresh").content == b"done"


def test_the_script_is_not_told_fresh_when_it_is_about_to_end(ravi, time_machine):
    time_machine.shift(settings.STEP_UP_SECONDS - 5)
    assert ravi.send("/step-up/begin").json()["fresh"] is False


def test_a_browser_gets_its_form_back_with_what_was_typed(ravi, time_machine):
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    answer = ravi.post("/fresh?tab=2", {"amount": '5 "<b>', "env": ["dev", "prod"], "csrfmiddlewaretoken": "t"})
    assert refused(answer)
    page = answer.content.decode()
    assert 'action="/fresh?tab=2" data-step-up>' in page
    assert '<input type="hidden" name="amount" value="5 &quot;&lt;b&gt;">' in page
    assert page.count('type="hidden" name="env"') == 2


def test_a_bound_action_needs_its_own_confirmation_even_when_fresh(ravi):
    assert refused(program(ravi, "/bound/a", {"amount": "5"}))
    answer = ravi.confirmed_post("/bound/a", {"amount": "5"})
    assert (answer.status_code, done) == (200, ["a 5"])


def test_c02_a_bound_confirmation_is_good_once(ravi):
    ravi.confirmed_post("/bound/a", {"amount": "5"})
    done.clear()
    assert refused(program(ravi, "/bound/a", {"amount": "5"}))


def confirm(person: Person, path: str, fields: list[list[str]], method: str = "POST", query: str = "") -> None:
    action = {"method": method, "path": path, "query": query, "fields": fields}
    options = person.send("/step-up/begin", {"action": action}).json()["options"]
    answer = person.send("/step-up/finish", {"credential": person.authenticator.get(options)})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/bound/a", {"amount": "6"}),
        ("/bound/b", {"amount": "5"}),
        ("/bound/a?x=1", {"amount": "5"}),
        ("/bound/a", {"amount": "5", "more": ""}),
        ("/bound/a", {}),
    ],
    ids=["amount", "object", "query", "field_more", "field_less"],
)
def test_a_bound_confirmation_covers_nothing_else(ravi, path, data):
    confirm(ravi, "/bound/a", [["amount", "5"]])
    assert refused(program(ravi, path, data))
    assert refused(program(ravi, "/bound/a", {"amount": "5"})), "it is used up by the attempt"


def test_a_bound_confirmation_of_another_method_does_not_count(ravi):
    confirm(ravi, "/bound/a", [["amount", "5"]], method="PUT")
    assert refused(program(ravi, "/bound/a", {"amount": "5"}))


def test_c02_a_bound_confirmation_does_not_last(ravi, time_machine):
    confirm(ravi, "/bound/a", [["amount", "5"]])
    time_machine.shift(settings.CEREMONY_SECONDS + 1)
    assert refused(program(ravi, "/bound/a", {"amount": "5"}))


def test_a_bound_confirmation_is_of_one_session(ravi):
    other = Person(ravi.authenticator)
    other.sign_in()
    confirm(ravi, "/bound/a", [["amount", "5"]])
    assert refused(program(other, "/bound/a", {"amount": "5"}))


def test_order_token_and_line_ends_do_not_matter(ravi):
    fields = [["note", "a\nb"], ["amount", "5"], ["csrfmiddlewaretoken", "one"]]
    confirm(ravi, "/bound/ä b", fields)
    answer = program(ravi, "/bound/%C3%A4%20b", {"amount": "5", "csrfmiddlewaretoken": "two", "note": "a\r\nb"})
    assert answer.status_code == 200


def test_a_fresh_ceremony_confirms_no_bound_action(ravi, time_machine):
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    ravi.step_up()
    assert refused(program(ravi, "/bound/a", {"amount": "5"}))


def test_somebody_elses_passkey_confirms_nothing(ravi, newcomer, time_machine):
    other = newcomer("b@example.com")
    other.enrol(other.token)
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    options = ravi.send("/step-up/begin").json()["options"]
    answer = ravi.send("/step-up/finish", {"credential": other.authenticator.get(options)})
    assert (answer.status_code, answer.json()["code"]) == (400, "ceremony_refused")
    assert refused(program(ravi, "/fresh"))


def test_a_passkeys_uses_are_asked_of_its_owner_only(ravi, time_machine):
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    options = ravi.send("/step-up/begin").json()["options"]
    assert len(options["allowCredentials"]) == 1
    assert options["userVerification"] == "required"


@pytest.mark.parametrize(
    "action", ["x", 7, {}, {"method": "POST", "path": "/", "query": "", "fields": [["a"]]}, {"method": 1, "path": "/"}]
)
def test_an_action_that_is_no_request_is_refused(ravi, action):
    answer = ravi.send("/step-up/begin", {"action": action})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_request")


def test_strangers_cannot_confirm(db):
    assert Person().send("/step-up/begin").status_code == 401
