"""What tenants' tiers stand for, in every environment's store: written, taken away, repaired, named in the ledger."""

from __future__ import annotations

import pytest

from pricing.actions.selections import clear_selection, select_model
from publishing.models import KvEntry
from publishing.reconcile.truth import truths, truths_without_entry
from publishing.says import fields_of, says
from publishing.subjects import About, documents_named, subjects_of
from tenants.models import Tenant
from tenants.scope import across_tenants
from tests.pricing.catalogues import acme
from tests.pricing.conftest import sync_and_approve
from tests.tenants.making import SOMEBODY, make_tenant
from wire.documents import decode_routing, routing_document

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant(db) -> Tenant:
    sync_and_approve(acme())
    tenant = make_tenant("Ours")
    select_model(tenant=tenant, use="chat", tier="bulk", provider="acme", model="small", by=SOMEBODY)
    return tenant


def held(stores, env: str, tenant: Tenant):
    body = stores.reader(env).get(routing_document(tenant.id))
    return decode_routing(body) if body else None


def test_the_document_is_written_into_every_environment_and_taken_away_again(stores, publisher, tenant):
    publisher.once()
    for env in ("dev", "prod"):
        found = held(stores, env, tenant)
        assert (found.env, found.tenant, found.rev, len(found.selections)) == (env, tenant.id, 1, 1)
    select_model(tenant=tenant, use="chat", tier="bulk", provider="acme", model="model-1", by=SOMEBODY)
    publisher.once()
    assert [
        (held(stores, env, tenant).rev, held(stores, env, tenant).selections[0].model) for env in ("dev", "prod")
    ] == [
        (2, "model-1"),
        (2, "model-1"),
    ]
    clear_selection(tenant=tenant, use="chat", tier="bulk", by=SOMEBODY)
    publisher.once()
    assert [held(stores, env, tenant) for env in ("dev", "prod")] == [None, None]


def test_reconciling_knows_the_document(stores, publisher, tenant):
    publisher.once()
    key = routing_document(tenant.id)
    entry = KvEntry.objects.get(env="dev", key=key)
    with across_tenants("as the publisher does"):
        (truth,) = truths("dev", [key]).values()
        assert (truth.thing.id, truth.digest) == (tenant.id, entry.digest)
        KvEntry.objects.filter(key=key).delete()
        lost = {name for piece in truths_without_entry("dev", entry.store, piece=10) for name in piece}
    assert lost == {key}


def test_the_ledger_says_whose_it_is_and_what_it_holds(stores, publisher, tenant):
    publisher.once()
    key = routing_document(tenant.id)
    body = KvEntry.objects.get(env="dev", key=key).body
    assert says(key, body, deleted=False) == "1 selection"
    assert ("Chat bulk", "acme/small") in fields_of(key, body)
    with across_tenants("as the publisher does"):
        subject = subjects_of([("dev", key)])[("dev", key)]
        assert key in documents_named("Ours", tenants=Tenant.objects.all())
    assert (subject.noun, subject.name, subject.tenant_id) == ("Selections", "Ours", tenant.id)
    assert About.ROUTING.label == "Selections"
