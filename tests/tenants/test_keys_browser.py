"""Keys in Chromium: two admins edit one at once, many are revoked, and every page of keys is sound wide and narrow.

With SPENDOPS_TEST_SCREENSHOTS=FOLDER each page that is looked at leaves its picture there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from access.actions import create_user, issue_enrolment_link
from access.models import EnrolmentLink, User
from tenants.actions.key_changes import change_key
from tenants.actions.keys import disable_key, revoke_key, rotate_key
from tenants.models import ApiKey, Membership, Tenant
from tenants.permissions import Role
from tenants.policy import KeySettings, settings_of
from tenants.scope import tenant_scope
from tests.chromium import Window
from tests.looking import keep_picture, look_around
from tests.spend.customer import Customer
from tests.tenants.making import SOMEBODY

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

NOW = datetime.now(UTC)
POLICY = {
    "allowed_models": ["gpt-4o*", "claude-*"],
    "denied_models": ["gpt-4o-audio*"],
    "allowed_providers": ["openai", "anthropic"],
    "networks": ["192.0.2.0/24", "2001:db8::/48"],
    "tier": "standard",
    "rpm": 600,
    "tpm": 250_000,
    "tags": {"team": "search", "cost-centre": "4711"},
}


@pytest.fixture
def customer(admin_window, clickhouse) -> Customer:
    Tenant.objects.update(name="Example Corp")
    return Customer(Tenant.objects.get(), zone="Asia/Kolkata")


@pytest.fixture
def second_window(browser, site, customer) -> Iterator[Window]:
    """Of another admin of the same tenant."""
    window = Window(browser, site)
    try:
        window.enrol(_link(_member("bela@example.com", "Bela Nagy", customer.tenant, Role.TENANT_ADMIN)))
        yield window
    finally:
        window.close()


def _member(email: str, name: str, tenant: Tenant, role: Role) -> User:
    user = create_user(email=email, name=name, by=SOMEBODY)
    Membership.objects.create(user=user, tenant=tenant, role=role)
    return user


def _link(user: User) -> str:
    purpose = EnrolmentLink.Purpose.RECOVERY
    return issue_enrolment_link(user=user, purpose=purpose, lifetime=timedelta(hours=1), by=SOMEBODY).token


def issue(customer: Customer, name: str, env: str = "prod", **policy: Any) -> ApiKey:
    key = customer.new_key(name, customer.project, env=env)
    with tenant_scope(customer.tenant.id):
        return change_key(key=key, settings=_with(key, **policy), by=SOMEBODY) if policy else key


def _with(key: ApiKey, **policy: Any) -> KeySettings:
    return replace(settings_of(key), **policy)


def other_than_refused(window: Window) -> list[str]:
    """Complaints, but for a form that was refused on purpose: Chromium reports its status."""
    return [said for said in window.complaints if "status of 4" not in said]


def test_two_admins_edit_one_key_at_once_and_the_second_loses_nothing(admin_window, second_window, customer):
    first, second = admin_window.page, second_window.page
    address = f"/keys/{customer.key.pk}/edit"
    first.goto(address)
    second.goto(address)
    first.get_by_text("Limits, providers, networks and more").click()
    first.get_by_label("Requests a minute").fill("60")
    first.get_by_role("button", name="Save").click()
    expect(first.get_by_text("“checkout-web” is changed.")).to_be_visible()

    second.get_by_label("Name").fill("checkout of the web")
    second.get_by_label("Allowed models").fill("gpt-4o*")
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_text("was changed by Asha (requests a minute) after you opened it")).to_be_visible()
    expect(second.get_by_text("Asha changed this meanwhile. It said: nothing.")).to_be_visible()
    expect(second.get_by_label("Requests a minute")).to_have_value("60")
    expect(second.get_by_label("Name")).to_have_value("checkout of the web")
    expect(second.get_by_label("Allowed models")).to_have_value("gpt-4o*")
    keep_picture(second, "key-edit-stale")
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_role("heading", name="checkout of the web")).to_be_visible()
    with tenant_scope(customer.tenant.id):
        key = ApiKey.objects.get(pk=customer.key.pk)
    assert (key.name, key.rpm, key.allowed_models, key.version) == ("checkout of the web", 60, ["gpt-4o*"], 3)
    assert other_than_refused(admin_window) == other_than_refused(second_window) == []


def test_ticked_keys_are_revoked_once_their_number_is_typed(admin_window, customer):
    page = admin_window.page
    for name in ("alpha", "beta", "gamma"):
        issue(customer, name)
    page.goto("/keys")
    page.get_by_role("checkbox", name="Choose alpha").check()
    page.get_by_role("checkbox", name="Choose beta").check()
    expect(page.get_by_text("2 keys chosen")).to_be_visible()
    page.get_by_label("What to do with the chosen keys").select_option("revoke")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Revoke: 2 keys")).to_be_visible()
    page.get_by_label("Type 2 to revoke all of them").fill("2")
    page.get_by_role("button", name="Revoke: 2 keys").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    expect(page.get_by_text("2 keys", exact=True)).to_be_visible()
    with tenant_scope(customer.tenant.id):
        states = dict(ApiKey.objects.values_list("name", "status"))
    assert states == {"alpha": "revoked", "beta": "revoked", "gamma": "active", "checkout-web": "active"}

    page.goto("/keys")
    whole = page.get_by_role("checkbox", name="Choose all keys on this page")
    whole.check()
    expect(page.get_by_text("4 keys chosen")).to_be_visible()
    whole.uncheck()
    expect(page.get_by_text("Tick keys to change several at once")).to_be_visible()
    assert admin_window.complaints == []


@pytest.fixture
def many(customer) -> dict[str, ApiKey]:
    """Keys in every state, used and not, and more than a page of them."""
    asha = User.objects.get(email="asha@example.com")
    dev = _member("dev@example.com", "Chidi Okafor", customer.tenant, Role.DEVELOPER)
    for number in range(48):
        issue(customer, f"service {number:02d}", env="dev")
    made = {
        "rich": issue(customer, "checkout assistant", **POLICY, owner=dev.pk, expires_at=NOW + timedelta(days=9)),
        "resting": issue(customer, "night batch", tags={"team": "data"}, owner=asha.pk),
        "gone": issue(customer, "old importer"),
        "later": issue(customer, "launch", not_before=NOW + timedelta(days=3)),
        "over": issue(customer, "trial", expires_at=NOW + timedelta(days=1)),
    }
    rotated = issue(customer, "copilot")
    with tenant_scope(customer.tenant.id):
        disable_key(key=made["resting"], by=SOMEBODY)
        revoke_key(key=made["gone"], by=SOMEBODY)
        rotate_key(key=rotated, grace=timedelta(hours=24), by=SOMEBODY)
        change_key(key=made["rich"], settings=_with(made["rich"], rpm=300), by=SOMEBODY)
        ApiKey.objects.filter(pk=made["over"].pk).update(expires_at=NOW - timedelta(hours=1))
        ApiKey.objects.filter(pk=made["rich"].pk).update(last_used_at=NOW)
    hours = [number // 3 for number in range(60) if number % 7]
    customer.count(
        [customer.event(customer.now - timedelta(hours=hour, minutes=5), key=made["rich"].pk) for hour in hours]
    )
    return made


def test_every_page_of_keys_without_a_complaint(admin_window, many):
    rich, resting = many["rich"].pk, many["resting"].pk
    pages = {
        "keys": "/keys",
        "keys-expiring": "/keys?status=expiring&sort=expiry",
        "keys-nothing": "/keys?q=nope",
        "key-issue": "/keys/issue",
        "key": f"/keys/{rich}",
        "key-resting": f"/keys/{resting}",
        "key-edit": f"/keys/{rich}/edit",
        "key-revoke": f"/keys/{rich}/revoke",
        "key-batch-revoke": "/keys/batch?action=revoke&all=1&q=service",
        "key-batch-tag": f"/keys/batch?action=add_tag&key={rich}&key={resting}",
    }
    assert look_around(admin_window, pages) == {}
