"""Overrides on their way to gateways: published, deleted with the last rule, and found by reconciling when lost."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from django.utils import timezone

from pricing.actions.overrides import archive_override, create_override
from pricing.override_rules import OverrideSettings
from publishing.reconcile.truth import truths, truths_without_entry
from publishing.says import changes_between, fields_of, says
from publishing.subjects import subjects_of
from tenants.scope import across_tenants
from tests.tenants.making import SOMEBODY, make_tenant
from wire.documents import tenant_pricing_document
from wire.overrides import TenantPricing

pytestmark = pytest.mark.django_db


def create(tenant, name="Discount", **fields):
    settings = {"kind": "percent", "basis_points": -500, "starts_at": timezone.now() + timedelta(hours=1)} | fields
    return create_override(tenant=tenant, wanted=OverrideSettings(name=name, **settings), by=SOMEBODY)


def held(stores, env, tenant):
    body = stores.reader(env).get(tenant_pricing_document(tenant.id))
    return body and msgspec.json.decode(body, type=TenantPricing)


def test_each_change_reaches_every_environment_and_the_last_rules_end_deletes(stores, publisher):
    tenant = make_tenant()
    row = create(tenant)
    publisher.once()
    for env in ("dev", "prod"):
        found = held(stores, env, tenant)
        assert (found.env, found.version, [rule.id for rule in found.rules]) == (env, 1, [row.pk])
    other = create(tenant, "Other", priority=1)
    publisher.once()
    assert (held(stores, "dev", tenant).version, held(stores, "dev", tenant).rev) == (2, 2)
    for each in (row, other):
        archive_override(override=each, by=SOMEBODY)
    publisher.once()
    assert held(stores, "dev", tenant) is None
    assert held(stores, "prod", tenant) is None


def test_reconciling_knows_them(stores, publisher):
    tenant, plain = make_tenant(), make_tenant("Plain")
    create(tenant)
    publisher.once()
    name = tenant_pricing_document(tenant.id)
    with across_tenants("as the publisher"):
        found = truths("dev", [name, tenant_pricing_document(plain.id), tenant_pricing_document("t_gone")])
        assert found[name].digest
        assert found[tenant_pricing_document(plain.id)].digest == ""
        assert tenant_pricing_document("t_gone") not in found
        listed = {key for each in truths_without_entry("dev", "nowhere", piece=2) for key in each}
    assert name in listed
    assert tenant_pricing_document(plain.id) not in listed


def test_the_ledger_says_whose_they_are_and_what_changed(db):
    tenant = make_tenant()
    name = tenant_pricing_document(tenant.id)
    with across_tenants("as the ledger"):
        subject = subjects_of([("dev", name)])["dev", name]
    assert (subject.noun, subject.name, subject.tenant_id) == ("Overrides", "Acme", tenant.id)

    def body(version: int, *rules: dict) -> bytes:
        return msgspec.json.encode({"schema": 1, "rev": version, "version": version, "rules": list(rules)})

    before = body(1, {"id": "o_1", "kind": "free"}, {"id": "o_2", "kind": "free"})
    after = body(2, {"id": "o_1", "kind": "percent"}, {"id": "o_3", "kind": "free"})
    assert says(name, before, deleted=False) == "version 1"
    assert ("Rules", "2") in [(field.label, field.value) for field in fields_of(name, before)]
    changes = {change.label: change for change in changes_between(name, before, after)}
    assert [changes[f"Overrides {what}"].models for what in ("gone", "added", "changed")] == ["o_2", "o_3", "o_1"]
