"""People and doors for the tests of access."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browsing import Person


@pytest.fixture
def ravi(newcomer: Callable[..., Person]) -> Person:
    """A person signed in with a passkey, who belongs to no tenant."""
    person: Any = newcomer()
    assert person.enrol(person.token).status_code == 200
    return person
