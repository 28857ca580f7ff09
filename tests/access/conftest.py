"""People and doors for the tests of access."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.authenticator import Authenticator
from tests.browsing import Person


@pytest.fixture
def newcomer(db: None) -> Callable[..., Person]:
    """Makes a person who holds an enrolment link and has not used it: `.user`, `.token`."""
    from access.actions import create_user, issue_enrolment_link
    from access.models import EnrolmentLink
    from changes.actor import Actor

    def make(email: str = "ravi@example.com", authenticator: Authenticator | None = None) -> Any:
        by = Actor.system("tests")
        person: Any = Person(authenticator)
        person.user = create_user(email=email, name="Ravi", by=by)
        person.token = issue_enrolment_link(
            user=person.user, purpose=EnrolmentLink.Purpose.FIRST_ADMIN, lifetime=timedelta(minutes=30), by=by
        ).token
        return person

    return make


@pytest.fixture
def ravi(newcomer: Callable[..., Person]) -> Person:
    """A person signed in with a passkey, who belongs to no tenant."""
    person: Any = newcomer()
    assert person.enrol(person.token).status_code == 200
    return person
