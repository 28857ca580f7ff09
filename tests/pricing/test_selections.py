"""Which models a tenant's tiers stand for: what may be selected, who is told what, what gateways are told."""

from __future__ import annotations

import threading

import msgspec
import pytest
from django.db import connection, transaction

from changes.models import AuditEvent, OutboxRow
from changes.record import Topic
from gateway.providers.registry import KINDS
from gateway.selecting import WORDS
from pricing.actions.selections import clear_selection, select_model
from pricing.models import Model, Selection
from pricing.queries_selections import current_price_of, selections_by_tenant, selections_mark, uses_by_price
from pricing.selection_rules import CALLED, uses_of
from publishing.render import render
from tenants.actions.projects import archive_project, create_project
from tenants.actions.tenants import archive_tenant, suspend_tenant
from tenants.errors import InvalidSettingError, StaleError, StatusError
from tenants.scope import across_tenants, tenant_scope
from tests.pricing.catalogues import acme, catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.tenants.making import SOMEBODY, make_tenant, project_of
from wire.documents import Selected

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant(db):
    sync_and_approve(
        catalogue(
            *acme().providers,
            provider("anthropic", listed("claude", input=3, output=15)),
            provider("vectors", listed("embed-small", input=1), listed("pictures", image_in=5), listed("nothing")),
        )
    )
    return make_tenant("Ours")


def select(tenant, model="small", *, use="chat", tier="bulk", provider="acme", **more):
    return select_model(tenant=tenant, use=use, tier=tier, provider=provider, model=model, by=SOMEBODY, **more)


def document(tenant, env="dev"):
    with across_tenants("as the publisher does"):
        (found,) = (each for each in render(Topic.ROUTING, [tenant.id], environments=[env])[tenant.id])
    return found.content


def test_a_selection_is_recorded_and_published(tenant):
    row = select(tenant)
    assert (row.version, row.provider, row.model, row.project) == (1, "acme", "small", None)
    event = AuditEvent.objects.get(kind="selection.made")
    assert (event.tenant_id, event.target_id, event.before) == (tenant.id, "chat bulk", None)
    assert event.after == {"use": "chat", "tier": "bulk", "project": "", "model": "acme/small"}
    assert OutboxRow.objects.filter(topic=Topic.ROUTING, object_id=tenant.id).count() == 1
    assert document(tenant).selections == (Selected(use="chat", tier="bulk", provider="acme", model="small"),)


def test_a_project_has_selections_of_its_own(tenant):
    project = project_of(tenant)
    select(tenant)
    select(tenant, "model-1", project=project)
    assert {(each.project, each.model) for each in document(tenant).selections} == {
        ("", "small"),
        (project.id, "model-1"),
    }


def test_the_same_again_records_nothing_and_another_model_is_the_next_version(tenant):
    select(tenant)
    assert select(tenant).version == 1
    assert AuditEvent.objects.filter(kind="selection.made").count() == 1
    assert select(tenant, "model-1").version == 2
    assert AuditEvent.objects.filter(kind="selection.made").latest("id").before["model"] == "acme/small"


def test_what_is_cleared_leaves_no_document(tenant):
    select(tenant)
    assert clear_selection(tenant=tenant, use="chat", tier="bulk", by=SOMEBODY)
    assert document(tenant) is None
    assert AuditEvent.objects.get(kind="selection.cleared").before["model"] == "acme/small"
    assert not clear_selection(tenant=tenant, use="chat", tier="bulk", by=SOMEBODY)
    assert AuditEvent.objects.filter(kind="selection.cleared").count() == 1


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"use": "poetry"}, "use", "There is no use 'poetry': choose one of chat, responses, embeddings, messages."),
        ({"tier": "best"}, "tier", "There is no tier 'best': choose one of bulk, standard, frontier."),
        ({"model": "big"}, "model", "'big' of 'acme' is not in the catalogue"),
        ({"provider": "nobody"}, "model", "'small' of 'nobody' is not in the catalogue"),
        ({"use": "embeddings"}, "model", "small cannot be selected for embeddings: it is for chat completions"),
        ({"use": "messages"}, "model", "small cannot be selected for messages"),
        ({"provider": "vectors", "model": "embed-small"}, "model", "it is for embeddings"),
        ({"provider": "vectors", "model": "pictures"}, "model", "no price that calls could be counted by"),
        ({"provider": "vectors", "model": "nothing"}, "model", "no price that calls could be counted by"),
    ],
)
def test_what_cannot_be_selected_is_refused_with_the_field(tenant, given, field, says):
    with pytest.raises(InvalidSettingError) as refused:
        select(tenant, **given)
    assert (refused.value.field, says in refused.value.message) == (field, True), refused.value.message
    assert not AuditEvent.objects.filter(kind="selection.made").exists()
    with tenant_scope(tenant.id):
        assert not Selection.objects.exists()


def test_a_model_that_is_gone_cannot_be_selected_and_what_was_selected_stays(tenant):
    select(tenant, "model-19")
    sync_and_approve(acme(19))
    assert Model.objects.get(provider="acme", model_id="model-19").gone
    with pytest.raises(InvalidSettingError, match="is no longer listed"):
        select(tenant, "model-19", tier="standard")
    assert document(tenant).selections[0].model == "model-19"


def test_a_project_of_another_tenant_and_one_that_is_archived_are_refused(tenant):
    with pytest.raises(InvalidSettingError, match="no such project"):
        select(tenant, project=project_of(make_tenant("Theirs")))
    project = create_project(tenant=tenant, name="Old", by=SOMEBODY)
    archived = archive_project(project=project, reason="Over.", by=SOMEBODY)
    with pytest.raises(StatusError, match="is archived"):
        select(tenant, project=archived)


def test_nothing_of_an_archived_tenant_is_changed(tenant):
    suspend_tenant(tenant=tenant, reason="Over.", by=SOMEBODY)
    archive_tenant(tenant=tenant, reason="Over.", by=SOMEBODY)
    with pytest.raises(StatusError, match="is archived"):
        select(tenant)


def test_of_two_who_look_at_the_same_time_the_second_is_told(tenant):
    select(tenant, version=0)
    with pytest.raises(StaleError, match="now it is acme/small"):
        select(tenant, "model-1", version=0)
    assert select(tenant, "model-1", version=1).version == 2
    clear_selection(tenant=tenant, use="chat", tier="bulk", version=2, by=SOMEBODY)
    with pytest.raises(StaleError, match="now none is selected"):
        select(tenant, version=2)


def test_the_mark_tells_of_a_change_of_any_selection(tenant):
    empty = selections_mark(tenant.id)
    select(tenant, mark=empty)
    with pytest.raises(StaleError):
        select(tenant, "model-1", tier="standard", mark=empty)
    again = selections_mark(tenant.id)
    clear_selection(tenant=tenant, use="chat", tier="bulk", mark=again, by=SOMEBODY)
    select(tenant)
    assert selections_mark(tenant.id) not in (empty, again)


def test_tenants_see_only_their_own(tenant):
    other = make_tenant("Theirs")
    select(tenant)
    select(other, "model-1")
    with tenant_scope(other.id):
        assert [row.model for row in Selection.objects.all()] == ["model-1"]
    with across_tenants("as the publisher does"):
        found = selections_by_tenant([tenant.id, other.id])
    assert {key: [row.model for row in rows] for key, rows in found.items()} == {
        tenant.id: ["small"],
        other.id: ["model-1"],
    }


def test_the_document_is_the_same_whenever_it_is_rendered(tenant):
    project = project_of(tenant)
    for tier in ("standard", "bulk"):
        select(tenant, tier=tier, project=project)
        select(tenant, tier=tier)
    before = msgspec.json.encode(document(tenant))
    with tenant_scope(tenant.id):
        row = Selection.objects.first()
        row.save(update_fields=["updated_at"])
    assert msgspec.json.encode(document(tenant)) == before


@pytest.mark.parametrize(
    ("provider", "model", "capabilities", "units", "uses"),
    [
        ("openai", "gpt-4o", [], {"input", "output"}, ["chat", "responses"]),
        ("anthropic", "claude", [], {"input", "output"}, ["chat", "responses", "messages"]),
        ("openai", "text-embedding-3-small", [], {"input"}, ["embeddings"]),
        ("openai", "text-embedding-3-small", ["tools"], {"input", "output"}, ["chat", "responses"]),
        ("cohere", "north", ["embeddings"], {"input"}, ["embeddings"]),
        ("openai", "whisper", [], {"audio_in"}, []),
        ("openai", "gpt-4o", [], set(), []),
    ],
)
def test_what_a_model_is_for(provider, model, capabilities, units, uses):
    assert uses_of(provider=provider, model=model, capabilities=capabilities, priced_units=units) == uses


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_who_select_at_the_same_moment_make_one_selection():
    sync_and_approve(acme())
    tenant = make_tenant("Ours")
    done, told = threading.Event(), []

    def second() -> None:
        try:
            told.append(select(tenant, "model-1", version=0))
        except StaleError as error:
            told.append(error)
        finally:
            connection.close()
            done.set()

    thread = threading.Thread(target=second)
    with transaction.atomic():
        select(tenant, version=0)
        thread.start()
        assert not done.wait(0.2)
    thread.join(20)
    (refused,) = told
    assert isinstance(refused, StaleError)
    with tenant_scope(tenant.id):
        assert [row.model for row in Selection.objects.all()] == ["small"]


def test_no_model_of_the_real_catalogue_bears_the_name_of_a_tier(price_book):
    for provider_id in price_book.blob.models:
        for word in WORDS:
            assert price_book.find(provider_id, word) is None, (provider_id, word)
    assert [price_book.provider_of(word) for word in WORDS] == [None] * len(WORDS)


def test_the_real_catalogue_s_models_have_their_uses(synced):
    uses = {
        (provider_id, model): uses_by_price(current_price_of(provider_id, model))
        for provider_id, model in (
            ("openai", "gpt-4o-mini"),
            ("openai", "text-embedding-3-small"),
            ("anthropic", "claude-sonnet-4-5"),
            ("google", "gemini-2.5-flash"),
        )
    }
    assert list(uses.values()) == [
        ["chat", "responses"],
        ["embeddings"],
        ["chat", "responses", "messages"],
        ["chat", "responses"],
    ]


def test_the_providers_that_gateways_call_are_known_here():
    assert set(CALLED) == {kind.name for kind in KINDS}
    assert {kind.name for kind in KINDS if kind.serves_messages} == {
        name
        for name in CALLED
        if "messages" in uses_of(provider=name, model="m", capabilities=[], priced_units={"output"})
    }
