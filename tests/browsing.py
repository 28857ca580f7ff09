"""A person at a browser, for tests of pages: Django's test client with a passkey in its hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.test import Client

from tests.authenticator import Authenticator

if TYPE_CHECKING:
    from access.models import User
    from tenants.models import Tenant


class Person(Client):
    """`user` and `tenant` are set once signed in. Pages are asked for as browsers do (`Accept: text/html`)."""

    user: User
    tenant: Tenant

    def __init__(self, authenticator: Authenticator | None = None, **kwargs: Any) -> None:
        super().__init__(headers={"accept": "text/html"}, **kwargs)
        self.authenticator = authenticator or Authenticator()

    def send(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Post JSON, as the page's script does."""
        headers = {"accept": "application/json"}
        return self.post(path, body or {}, content_type="application/json", headers=headers)

    def enrol(self, token: str, name: str = "Test passkey") -> Any:
        """Use an enrolment link; the answer of the last step."""
        begun = self.send("/enrol/begin", {"token": token, "name": name})
        if begun.status_code != 200:
            return begun
        credential = self.authenticator.create(begun.json()["options"])
        return self.send("/enrol/finish", {"token": token, "name": name, "credential": credential})

    def sign_in(self) -> Any:
        begun = self.send("/sign-in/begin")
        return self.send("/sign-in/finish", {"credential": self.authenticator.get(begun.json()["options"])})

    def step_up(self) -> None:
        """Confirm with the passkey, as the page's script does before a `data-step-up` form is sent."""
        begun = self.send("/step-up/begin").json()
        if not begun["fresh"]:
            done = self.send("/step-up/finish", {"credential": self.authenticator.get(begun["options"])})
            assert done.status_code == 200, done.content

    def confirmed_post(self, path: str, data: dict[str, Any], **kwargs: Any) -> Any:
        """Confirm exactly this request, then send it, as a `data-step-up="bound"` form does."""
        path_only, _, query = path.partition("?")
        fields = [
            [name, str(each)]
            for name, value in data.items()
            for each in (value if isinstance(value, (list, tuple)) else [value])
        ]
        action = {"method": "POST", "path": path_only, "query": query, "fields": fields}
        begun = self.send("/step-up/begin", {"action": action})
        assert begun.status_code == 200, begun.content
        done = self.send("/step-up/finish", {"credential": self.authenticator.get(begun.json()["options"])})
        assert done.status_code == 200, done.content
        return self.post(path, data, **kwargs)
