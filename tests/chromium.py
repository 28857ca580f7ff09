"""Debian's Chromium under a test's control: windows with a passkey of their own, and what pages complain about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

PATIENCE_MS = 30_000  # how long a busy machine may take for a page, or for what a test expects of it

IN_THE_LAPTOP = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
SECURITY_KEY = IN_THE_LAPTOP | {"transport": "usb"}

# Pages remember which of their panels were answered: a panel that is still to come may look like one that came empty.
REMEMBER_ANSWERS = """(() => {
  window.answeredPanels = new WeakSet();
  document.addEventListener("htmx:finally:request", (event) => answeredPanels.add(event.detail.ctx.sourceElement));
})()"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium, headless. Raises RuntimeError naming the package when it is not on this machine."""
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("Chromium is missing. On Debian: sudo apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """A window of its own profile with a virtual authenticator. `complaints` are the console's errors."""

    def __init__(self, browser: Browser, site: str, **context: Any) -> None:
        self.site = site
        self.context = browser.new_context(base_url=site, **context)
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(REMEMBER_ANSWERS)
        self.complaints: list[str] = []
        self.page = self.context.new_page()
        self._listen(self.page)
        self.devtools = self.context.new_cdp_session(self.page)
        self.devtools.send("WebAuthn.enable", {"enableUI": False})
        self.authenticator = self.add_authenticator(IN_THE_LAPTOP)

    def add_authenticator(self, kind: dict[str, Any]) -> str:
        """Plug an authenticator in; its id for further commands."""
        return str(self.devtools.send("WebAuthn.addVirtualAuthenticator", {"options": kind})["authenticatorId"])

    def remove_authenticator(self, authenticator: str) -> None:
        self.devtools.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": authenticator})

    def user_verifies(self, able: bool) -> None:
        """Whether the right finger is on the reader."""
        asked = {"authenticatorId": self.authenticator, "isUserVerified": able}
        self.devtools.send("WebAuthn.setUserVerified", asked)

    def credentials(self) -> list[dict[str, Any]]:
        """What the authenticator holds."""
        told = self.devtools.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})
        return list(told["credentials"])

    def open_tab(self) -> Page:
        """Another tab of this window. Authenticators belong to tabs, so it gets one with copies of the credentials."""
        tab = self.context.new_page()
        self._listen(tab)
        devtools = self.context.new_cdp_session(tab)
        devtools.send("WebAuthn.enable", {"enableUI": False})
        same = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": IN_THE_LAPTOP})
        for credential in self.credentials():
            devtools.send("WebAuthn.addCredential", {**same, "credential": credential})
        return tab

    def enrol(self, token: str) -> None:
        """Use an enrolment link, through the page."""
        self.page.goto(f"/enrol#{token}")
        self.page.get_by_role("button", name="Create the passkey").click()
        self.page.wait_for_url(lambda address: "/enrol" not in address)

    def close(self) -> None:
        self.context.close()

    def _listen(self, page: Page) -> None:
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
