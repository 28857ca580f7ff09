"""C3: whatever is dangerous asks for the passkey; without a fresh confirmation not one row changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db.models import QuerySet

from access.models import Bucket, Ceremony, Confirmation, Session
from publishing.models import KvEntry
from publishing.republish import start_republish
from spend.models import Rerating, UsageImport
from spendops.api import api
from tenants.actions.keys import disable_key
from tenants.forms.leaks import sealed
from tenants.frame.operations import operations_of
from tenants.models import ApiKey, Tenant
from tenants.permissions import Role, needs_of
from tenants.scope import tenant_scope
from tenants.tokens import DANGEROUS
from tests.access.test_gates import every_address
from tests.browsing import Person
from tests.spend.customer import Customer
from tests.tenants.company import Company, last_month
from tests.tenants.making import SOMEBODY, project_of, to_status
from tests.tenants.test_permissions import address_of, step_up_of

pytestmark = pytest.mark.django_db

LATER = settings.STEP_UP_SECONDS + 1
SOON = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
HELD = "0123456789abcdef01234567"  # the code of what a guard holds
BUDGET = {"name": "First", "amount": "9", "enforcement": "hard", "thresholds": "80, 100", "version": "1"}
CENTRES = {"centres": [], "rules": [{"centre": "Search", "when": {"env": ["dev"]}}]}

# What is posted, so that with a confirmation something would change.
PAYLOADS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "tenants:key_issue": lambda ids: {"name": "New", "project": ids["project_id"], "env": "dev", "token": "once"},
    "tenants:key_enable": lambda ids: {},
    "tenants:key_rotate": lambda ids: {"grace": "1"},
    "tenants:key_edit": lambda ids: {"name": "Other", "project": ids["project_id"], "version": "1"},
    "tenants:key_batch_confirm": lambda ids: {
        "action": "disable",
        "key": ids["key_id"],
        "digest": sha256(ids["key_id"].encode()).hexdigest(),
    },
    "tenants:key_revoke": lambda ids: {"name": "Bot"},
    "tenants:token_issue": lambda ids: {
        "name": "New",
        "reach": "tenant",
        "scopes": ["spend.view"],
        "expires_on": SOON,
        "token": "once",
    },
    "tenants:token_revoke": lambda ids: {},
    "tenants:members": lambda ids: {"email": "new@example.com", "role": "auditor"},
    "tenants:member_role": lambda ids: {"role": "developer"},
    "tenants:member_link": lambda ids: {},
    "tenants:member_remove": lambda ids: {},
    "tenants:invitation_revoke": lambda ids: {},
    "tenants:audit_export": lambda ids: {"format": "csv"},
    "tenants:key_take_over": lambda ids: (
        {"text": f"name,sha256\nOld,{'ab' * 32}", "env": "dev", "step": "take"} | {"project": ids["project_id"]}
    ),
    "tenants:key_leaks_revoke": lambda ids: {
        "found": sealed([ids["key_id"]], tenant=Tenant(pk=ids["tenant_id"])),
        "number": "1",
    },
    "tenants:project_suspend": lambda ids: {"suspend-reason": "Runaway script."},
    "tenants:project_resume": lambda ids: {},
    "tenants:project_archive": lambda ids: {"archive-name": "Default", "archive-reason": "It is over."},
    "tenants:project_bring_back": lambda ids: {},
    "tenants:tenant_new": lambda ids: {"name": "New", "time_zone": "UTC", "currency": "EUR", "billing_day": "1"},
    "tenants:tenant_edit": lambda ids: {"name": "Other", "time_zone": "UTC", "currency": "EUR", "billing_day": "1"},
    "tenants:tenant_suspend": lambda ids: {"name": "Ours", "reason": "Unpaid."},
    "tenants:tenant_resume": lambda ids: {},
    "tenants:tenant_archive": lambda ids: {"name": "Ours", "reason": "It has left."},
    "tenants:tenant_bring_back": lambda ids: {},
    "pricing:sync_approve": lambda ids: {"digest": ids["sync_digest"]},
    "pricing:sync_reject": lambda ids: {"digest": ids["sync_digest"]},
    "pricing:new_price": lambda ids: {
        "provider": "acme",
        "model": "other",
        "starts": "2026-01-01",
        "price_input": "0.15",
    },
    "pricing:hand_table": lambda ids: {"text": "provider,model,unit,price\nacme,other,input,1"},
    "pricing:hand_price_change": lambda ids: {"starts": "2026-02-01", "price_input": "0.15"},
    "pricing:hand_price_end": lambda ids: {"ends": "2026-03-01"},
    "pricing:describe": lambda ids: {"tier": "bulk"},
    "budgets:edit": lambda ids: BUDGET,
    "pricing:override_new": lambda ids: {"name": "New", "kind": "free", "model": "new*"},
    "pricing:override_edit": lambda ids: {"name": "Other", "kind": "free"},
    "pricing:override_archive": lambda ids: {},
    "pricing:override_upload_save": lambda ids: {"text": "name,model,kind\nNew,new*,free"},
    "budgets:archive": lambda ids: {},
    "publishing:retry_entry": lambda ids: {},
    "publishing:retry_object": lambda ids: {},
    "publishing:retry_parked": lambda ids: {},
    "publishing:confirm_entry": lambda ids: {"code": HELD},
    "publishing:confirm_repair": lambda ids: {},
    "publishing:republish": lambda ids: {},
    "publishing:republish_stop": lambda ids: {},
    "spend:rerating_apply": lambda ids: {},
    "spend:rerating_resume": lambda ids: {},
    "spend:statement_seal": lambda ids: {},
    "spend:import_confirm": lambda ids: {},
    "spend:import_withdraw": lambda ids: {},
    "spend:cost_centres_save": lambda ids: {"version": "0", "book": json.dumps(CENTRES)},
    "access:recovery_codes": lambda ids: {},
    "access:remove": lambda ids: {},
    "access:disable": lambda ids: {},
    "access:enable": lambda ids: {},
    "access:add_begin": lambda ids: {"name": "Second"},
    "access:add_finish": lambda ids: {"name": "Second"},
}
ALONE = {
    "access:remove",
    "access:disable",
    "access:enable",
    "access:add_begin",
    "access:add_finish",  # see tests/access
    "spend:rerating_apply",
    "spend:rerating_resume",  # see tests/spend/test_pages_reratings.py
    "spend:statement_seal",  # see tests/spend/test_statement_pages.py
    "spend:import_confirm",
    "spend:import_withdraw",  # see tests/spend/test_pages_imports.py
}

OPERATIONS: dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("POST", "/tokens"): lambda ids: {"name": "New", "scopes": ["spend.view"], "expires_at": f"{SOON}T00:00:00Z"},
    ("DELETE", "/tokens/{token_id}"): lambda ids: {},
    ("POST", "/tenants"): lambda ids: {"name": "New"},
    ("PATCH", "/tenants/{tenant_id}"): lambda ids: {"name": "Other"},
    ("POST", "/tenants/{tenant_id}/suspend"): lambda ids: {"reason": "Unpaid."},
    ("POST", "/tenants/{tenant_id}/resume"): lambda ids: {},
    ("POST", "/tenants/{tenant_id}/archive"): lambda ids: {"reason": "It has left."},
    ("POST", "/tenants/{tenant_id}/bring-back"): lambda ids: {},
    ("POST", "/projects/{project_id}/suspend"): lambda ids: {"reason": "Runaway script."},
    ("POST", "/projects/{project_id}/resume"): lambda ids: {},
    ("POST", "/projects/{project_id}/archive"): lambda ids: {"reason": "It is over."},
    ("POST", "/projects/{project_id}/bring-back"): lambda ids: {},
    ("POST", "/keys/take-over"): lambda ids: {
        "keys": [{"name": "Old bot", "sha256": "ab" * 32, "project": "Default", "env": "dev"}]
    },
    ("POST", "/keys/leaks/revoke"): lambda ids: {"text": "nothing is leaked"},
    ("POST", "/keys"): lambda ids: {"name": "New", "project_id": ids["project_id"], "env": "dev"},
    ("POST", "/keys/revoke"): lambda ids: {"ids": [ids["key_id"]]},
    ("PATCH", "/keys/{key_id}"): lambda ids: {"rpm": 60},
    ("POST", "/keys/{key_id}/rotate"): lambda ids: {"grace_hours": 1},
    ("POST", "/keys/{key_id}/disable"): lambda ids: {},
    ("POST", "/keys/{key_id}/enable"): lambda ids: {},
    ("DELETE", "/keys/{key_id}"): lambda ids: {},
    ("POST", "/overrides"): lambda ids: {"name": "New", "kind": "free", "provider": "*", "model": "new*"},
    ("PATCH", "/overrides/{override_id}"): lambda ids: {"percent": "-7.5"},
    ("POST", "/overrides/{override_id}/archive"): lambda ids: {},
    ("POST", "/imports"): lambda ids: {},
    ("POST", "/imports/{import_id}/confirm"): lambda ids: {},
    ("POST", "/imports/{import_id}/withdraw"): lambda ids: {},
    ("DELETE", "/imports/{import_id}"): lambda ids: {},
    ("POST", "/invoices"): lambda ids: {
        "start_time": 1_793_491_200,
        "results": [{"amount": {"value": 1}, "line_item": "small, input"}],
    },
    ("PUT", "/cost-centres"): lambda ids: CENTRES | {"version": 0},
    ("POST", "/statements/{month}/seal"): lambda ids: {
        "charge_usd": "0.000041550000",
        "requests": 1,
        "unpriced_requests": 0,
    },
    ("POST", "/prices/by-hand"): lambda ids: {
        "provider": "acme",
        "model": "other",
        "prices": [{"unit": "input", "price": "0.15"}],
        "starts": "2026-01-01",
    },
    ("POST", "/prices/by-hand/table"): lambda ids: {"table": "provider,model,unit,price\nacme,other,input,1"},
    ("PATCH", "/prices/by-hand/{hand_price_id}"): lambda ids: {
        "prices": [{"unit": "input", "price": "0.15"}],
        "starts": "2026-02-01",
    },
    ("POST", "/prices/by-hand/{hand_price_id}/end"): lambda ids: {"ends": "2026-03-01"},
    ("POST", "/prices/syncs/{sync_id}/approve"): lambda ids: {"digest": ids["sync_digest"]},
    ("POST", "/prices/syncs/{sync_id}/reject"): lambda ids: {"digest": ids["sync_digest"]},
    ("POST", "/prices/facts"): lambda ids: {"provider": "acme", "model": "small", "facts": {"tier": "bulk"}},
    ("POST", "/reratings"): lambda ids: {"begin": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z"},
    ("POST", "/reratings/{rerating_id}/apply"): lambda ids: {"difference_pico": "0"},
    ("POST", "/reratings/{rerating_id}/stop"): lambda ids: {},
    ("POST", "/reratings/{rerating_id}/resume"): lambda ids: {},
}

# What must have been done before, so that there is something to change.
BEFORE: dict[str, Callable[[Company], Any]] = {
    "tenant_ resume": lambda company: to_status(company.tenant, "suspended"),
    "tenant_ archive": lambda company: to_status(company.tenant, "suspended"),
    "tenant_ bring-back": lambda company: to_status(company.tenant, "archived"),
    "project_ resume": lambda company: to_status(project_of(company.tenant), "suspended"),
    "/keys/{key_id} /enable": lambda company: disable_key(key=key_of(company), by=SOMEBODY),
    "project_ bring-back": lambda company: to_status(project_of(company.tenant), "archived"),
    "retry_parked": lambda company: KvEntry.objects.filter(pk=company.ids["entry_id"]).update(parked=True),
    "confirm_entry": lambda company: KvEntry.objects.filter(pk=company.ids["entry_id"]).update(parked=True, held=HELD),
    "/statements/{month}/seal": lambda company: Customer(company.tenant).call(last_month(company.tenant)),
    "/imports/{import_id}/withdraw": lambda company: imported(company),
    "/reratings/ /apply": lambda company: rerating_of(company).update(status=Rerating.Status.DONE),
    "/reratings/ /resume": lambda company: rerating_of(company).update(status=Rerating.Status.STOPPED),
    "republish_stop": lambda company: start_republish(env=company.ids["env"], by=SOMEBODY),
}
OF_PLATFORM = {
    "publishing:retry_object",
    "publishing:confirm_entry",
    "publishing:confirm_repair",
    "publishing:republish",
    "publishing:republish_stop",
    "spend:rerating_apply",
    "spend:rerating_resume",
}


def key_of(company: Company) -> ApiKey:
    with tenant_scope(company.tenant.id):
        return ApiKey.objects.get(pk=company.ids["key_id"])


def imported(company: Company) -> None:
    with tenant_scope(company.tenant.id):
        UsageImport.objects.filter(pk=company.ids["import_id"]).update(status=UsageImport.Status.DONE)


def rerating_of(company: Company) -> QuerySet[Rerating]:
    return Rerating.objects.filter(pk=company.ids["rerating_id"])


def prepare(company: Company, what: str) -> None:
    """`what` is a page's name or an operation's address."""
    for name, work in BEFORE.items():
        if all(word in what.replace("_back", "-back") for word in name.split()):
            work(company)


def of_platform(what: str) -> bool:
    """Whether a page or an operation is for platform admins only."""
    of_prices = ("describe", "hand", "new_price", "override", "sync")
    return what in OF_PLATFORM or what.startswith(
        (
            "tenants:tenant",
            *(f"pricing:{each}" for each in of_prices),
            "/tenants",
            "/prices",
            "/overrides",
            "/reratings",
        )
    )


@pytest.fixture
def company(db: None) -> Company:
    return Company()


def rows() -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is stored, but for sessions, ceremonies under way and counts of attempts."""
    kept = [model for model in apps.get_models() if model not in (Session, Ceremony, Confirmation, Bucket)]
    return {model._meta.label: sorted(map(repr, model._base_manager.values_list())) for model in kept}


def post(person: Person, name: str, address: str, data: dict[str, Any]) -> Any:
    headers = {"accept": "application/json"}
    if name.startswith("access:add_"):
        return person.post(address, json.dumps(data), content_type="application/json", headers=headers)
    return person.post(address, data, headers=headers)


def test_c03_every_dangerous_page_is_tried():
    marked = {name for name, _, each in every_address() if getattr(each.callback, "step_up", "")}
    assert marked == set(PAYLOADS)


@pytest.mark.parametrize("name", PAYLOADS)
def test_c03_without_a_fresh_confirmation_nothing_changes(company, time_machine, name):
    ids = company.ids
    person = company.person(Role.PLATFORM_ADMIN if of_platform(name) else Role.TENANT_ADMIN)
    prepare(company, name)
    address, data = address_of(name, ids), PAYLOADS[name](ids)
    if name == "tenants:key_enable":
        person.post(f"/keys/{ids['key_id']}/disable")
    time_machine.move_to(datetime.now(UTC) + timedelta(seconds=LATER))
    before = rows()
    answer = post(person, name, address, data)
    assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")
    assert rows() == before
    if name in ALONE:
        return
    if step_up_of(name) == "bound":
        person.step_up()
        assert post(person, name, address, data).json()["code"] == "step_up_required"  # fresh is not enough
        before = rows()
        assert person.confirmed_post(address, data).status_code in (200, 302)
    else:
        person.step_up()
        before = rows()
        assert post(person, name, address, data).status_code in (200, 302)
    assert rows() != before, "with the confirmation it does change something"


def test_c03_every_dangerous_operation_is_tried():
    wanted = {
        (method, path)
        for method, path, each in operations_of(api)
        if method != "GET" and (needs_of(each.view_func).to_write & DANGEROUS)
    }
    assert wanted == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_c03_the_api_changes_nothing_without_a_fresh_confirmation(company, clickhouse, time_machine, method, path):
    ids, person = company.ids, company.person(Role.PLATFORM_ADMIN if of_platform(path) else Role.TENANT_ADMIN)
    prepare(company, path)
    address, body = "/api/v1" + path.format(**ids), json.dumps(OPERATIONS[method, path](ids))
    time_machine.move_to(datetime.now(UTC) + timedelta(seconds=LATER))
    before = rows()
    answer = person.generic(method, address, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")
    assert rows() == before
    person.step_up()
    before = rows()
    assert person.generic(method, address, body, content_type="application/json").status_code in (200, 201, 202, 204)
    assert rows() != before
