"""People in Chromium: recovery codes, invitations, members and sessions, in both themes, wide and narrow.

With SPENDOPS_TEST_SCREENSHOTS=FOLDER each page that is looked at leaves its picture there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import ViewportSize, expect

from changes.actor import Actor
from tenants.bootstrap import bootstrap_admin
from tenants.models import Membership
from tests.chromium import Window
from tests.looking import DESKTOP, PHONE, look_here

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

Opens = Callable[..., Window]


@pytest.fixture
def opens(browser, site, settings) -> Iterator[Opens]:
    """Opens a window of somebody's own, with its own authenticator. None complains but of links and codes that fail."""
    settings.LOGIN_REDIRECT_URL = "/passkeys"  # a page that needs no other engine
    opened: list[Window] = []

    def open_window(size: ViewportSize = DESKTOP) -> Window:
        opened.append(Window(browser, site, viewport=size))
        return opened[-1]

    try:
        yield open_window
        said = [text for window in opened for text in window.complaints]
        assert [text for text in said if "the server responded with a status of 404" not in text] == []
    finally:
        for window in opened:
            window.close()


def signed_in(window: Window) -> Window:
    """The first admin, past the page of recovery codes."""
    window.enrol(bootstrap_admin(email="asha@example.com", name="Asha", by=Actor.system("tests")).token)
    return window


def test_codes_are_made_and_one_recovers_the_account(opens):
    window = signed_in(opens())
    page = window.page
    page.wait_for_url("**/recovery-codes")
    assert look_here(page, "codes-none") == {}
    page.get_by_role("button", name="Make 10 codes").click()
    expect(page.get_by_text("This is the only time you see these codes.")).to_be_visible()
    assert look_here(page, "codes-made") == {}
    codes = page.get_by_label("Recovery codes").inner_text().split()
    assert len(codes) == 10
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_role("link", name="Look after them").click()
    expect(page.get_by_text("10 of 10 left")).to_be_visible()
    assert look_here(page, "codes-left") == {}

    lost = opens(PHONE)  # another device, with no passkey on it
    lost.page.goto("/sign-in")
    lost.page.get_by_role("link", name="Use a recovery code").click()
    expect(lost.page.locator("h1")).to_have_text("Use a recovery code")
    assert look_here(lost.page, "recover") == {}
    lost.page.get_by_role("textbox", name="Recovery code").fill("0000-" * 7 + "0000")
    with lost.page.expect_response("**/recover/redeem"):
        lost.page.get_by_role("button", name="Continue").click()
    expect(lost.page.get_by_text("This code is not valid")).to_be_visible()
    assert look_here(lost.page, "recover-refused") == {}
    lost.page.get_by_role("textbox", name="Recovery code").fill(codes[0].upper().replace("-", " "))
    lost.page.get_by_role("button", name="Continue").click()
    expect(lost.page.get_by_text("asha@example.com")).to_be_visible()
    lost.page.get_by_label("Name of this passkey").fill("New phone")
    lost.page.get_by_role("button", name="Create the passkey").click()
    lost.page.wait_for_url("**/passkeys")
    expect(lost.page.get_by_text("9 codes left.")).to_be_visible()
    lost.page.locator("summary", has_text="Change").first.click()
    assert look_here(lost.page, "passkeys") == {}
    page.reload()
    page.wait_for_url("**/sign-in?next=**")


def test_somebody_is_invited_joins_and_gets_another_role(opens):
    window = signed_in(opens())
    page = window.page
    page.goto("/members")
    assert look_here(page, "members-alone") == {}
    page.get_by_label("E-mail address").fill("ravi")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("Write an address like asha@example.com.")).to_be_visible()
    assert look_here(page, "members-error") == {}
    page.get_by_label("E-mail address").fill("ravi@example.com")
    page.get_by_label("Role", exact=True).select_option("finance_viewer")
    page.get_by_role("button", name="Invite").click()
    expect(page.locator("h1")).to_have_text("ravi@example.com is invited")
    assert look_here(page, "invited") == {}
    link = page.get_by_label("Link of the invitation").input_value()
    page.goto("/members")
    expect(page.get_by_text("Kept here")).to_be_visible()
    assert look_here(page, "members-waiting") == {}

    ravi = opens(PHONE)
    ravi.page.goto(link)
    expect(ravi.page.get_by_text("invites ravi@example.com to join Default as finance viewer.")).to_be_visible()
    assert look_here(ravi.page, "join-new") == {}
    ravi.page.get_by_label("Your name").fill("Ravi")
    ravi.page.get_by_role("button", name="Create the passkey and join").click()
    ravi.page.wait_for_url("**/recovery-codes")
    ravi.page.goto(link)
    expect(ravi.page.get_by_text("This link is not valid any more")).to_be_visible()
    assert look_here(ravi.page, "join-refused") == {}

    page.goto("/members")
    page.locator("summary", has_text="Ravi").click()
    assert look_here(page, "members-two") == {}
    page.get_by_label("Role of Ravi").select_option("auditor")
    page.get_by_role("button", name="Change the role").and_(page.locator(":visible")).click()
    expect(page.get_by_text("The role of Ravi is changed.")).to_be_visible()
    page.locator("summary", has_text="Ravi").click()
    page.get_by_role("button", name="Remove Ravi").click()
    expect(page.get_by_text("Ravi is no longer a member of “Default”.")).to_be_visible()
    assert not Membership.objects.filter(user__email="ravi@example.com").exists()

    page.get_by_label("E-mail address").fill("ravi@example.com")
    page.get_by_label("Role", exact=True).select_option("auditor")
    page.get_by_role("button", name="Invite").click()
    link = page.get_by_label("Link of the invitation").input_value()
    page.goto(link)
    expect(page.get_by_text("but here asha@example.com is signed in.")).to_be_visible()
    assert look_here(page, "join-other") == {}
    ravi.page.goto(link)
    expect(ravi.page.get_by_text("invites you, ravi@example.com, to join Default as auditor.")).to_be_visible()
    assert look_here(ravi.page, "join-accept") == {}
    ravi.context.clear_cookies()
    ravi.page.reload()
    expect(ravi.page.get_by_text("You have an account already")).to_be_visible()
    assert look_here(ravi.page, "join-known") == {}
    ravi.page.get_by_role("button", name="Sign in with a passkey").click()
    ravi.page.get_by_role("button", name="Join").click()
    ravi.page.wait_for_url("**/passkeys")
    assert Membership.objects.get(user__email="ravi@example.com").role == "auditor"

    page.goto("/members/letters")
    expect(page.get_by_text("Join Default on SpendOps").first).to_be_visible()


def test_sessions_are_listed_and_ended(opens):
    window = signed_in(opens())
    page = window.page
    page.goto("/sessions")
    expect(page.get_by_text("This is your only session.")).to_be_visible()
    assert look_here(page, "sessions-one") == {}
    tab = opens()
    tab.devtools.send(
        "WebAuthn.addCredential", {"authenticatorId": tab.authenticator, "credential": window.credentials()[0]}
    )
    tab.page.goto("/sign-in")
    tab.page.get_by_role("button", name="Sign in with a passkey").click()
    tab.page.wait_for_url("**/passkeys")
    page.reload()
    expect(page.get_by_role("button", name=re.compile("^End Chrome"))).to_be_visible()
    assert look_here(page, "sessions-two") == {}
    page.get_by_role("button", name=re.compile("^End Chrome")).click()
    expect(page.get_by_text("That session is ended.")).to_be_visible()
    tab.page.reload()
    tab.page.wait_for_url("**/sign-in?next=**")
