"""Callers who ask for a tier: the selected model is called, the event says what was asked and what it cost."""

from __future__ import annotations

import pytest

from tests.gateway.peers import wait_for
from wire.documents import TIERS, Selected, routing_document
from wire.kv.base import Write

MINI = {"provider": "openai", "model": "gpt-4o-mini"}
SONNET = {"provider": "anthropic", "model": "claude-sonnet-4-6"}


def chosen(tier: str, use: str = "chat", project: str = "", **model: str) -> Selected:
    return Selected(use=use, tier=tier, project=project, **(model or MINI))


def selected(gateway, *selections: Selected, **policy):
    """A key whose tenant selected this, once the gateway knows."""
    key = gateway.issue(**policy)
    rev = gateway.select(key.tenant, *selections)
    probe = gateway.issue(tenant=key.tenant)

    def known() -> bool:
        answer = probe.chat(model="frontier")
        if answer.status_code == 200:
            return True
        seen = [each.revs.get(routing_document(key.tenant)) for each in gateway.denials(probe)]
        return rev in seen

    wait_for(known, "the selections")
    return key


def test_the_selected_model_answers_and_the_event_says_what_was_asked(gateway):
    key = selected(gateway, chosen("bulk"))
    answer = key.chat(model="bulk")
    assert (answer.status_code, answer.json()["model"]) == (200, "gpt-4o-mini")
    assert answer.headers["x-spendops-model"] == "openai/gpt-4o-mini"
    event = gateway.one_event(key)
    assert (event.model_asked, event.model_priced, event.provider, event.tier) == (
        "bulk",
        "gpt-4o-mini",
        "openai",
        "bulk",
    )
    assert event.cost is not None
    assert event.cost == answer.headers["x-spendops-cost"]


def test_another_provider_s_model_goes_to_that_provider(replayed, provider):
    provider.answers({"id": "x", "model": "claude-sonnet-4-6", "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
    key = selected(replayed, chosen("frontier", **SONNET))
    provider.seen.clear()
    assert key.chat(model="frontier", headers={"x-spendops-tags": "a=b"}).status_code == 200
    (seen,) = provider.seen
    assert (seen.body["model"], seen.headers["authorization"]) == ("claude-sonnet-4-6", "Bearer sk-anthropic")
    assert not [name for name in seen.headers if name.startswith("x-spendops")]
    event = replayed.one_event(key)
    assert (event.provider, event.model_asked, event.cost) == ("anthropic", "frontier", "0.000069000000")


@pytest.mark.parametrize(
    ("model", "header", "tier"),
    [
        ("auto", None, "bulk"),
        ("auto", "standard", "standard"),
        ("Bulk", None, "bulk"),
        ("", "bulk", "bulk"),
        (None, "auto", "bulk"),
        ("standard", "auto", "standard"),
    ],
)
def test_a_tier_is_asked_for_by_name_or_by_header(gateway, model, header, tier):
    key = selected(gateway, chosen("bulk"), chosen("standard", **SONNET))
    answer = key.chat(model=model, headers={"x-spendops-tier": header} if header else None)
    assert answer.status_code == 200, answer.content
    event = gateway.one_event(key)
    assert (event.tier, event.model_asked) == (tier, model or header)


def test_without_a_model_in_the_body_the_header_decides(gateway):
    key = selected(gateway, chosen("bulk"))
    messages = [{"role": "user", "content": "Hello"}]
    answer = key.post("/v1/chat/completions", {"messages": messages}, {"x-spendops-tier": "bulk"})
    assert (answer.status_code, answer.json()["model"]) == (200, "gpt-4o-mini")
    assert key.post("/v1/chat/completions", {"messages": messages}).status_code == 400


def test_a_model_that_is_named_stays_whatever_the_header_says(gateway):
    key = selected(gateway, chosen("frontier", **SONNET), tier="bulk")
    answer = key.chat(model="gpt-5", headers={"x-spendops-tier": "frontier"})
    assert (answer.status_code, answer.json()["model"]) == (200, "gpt-5")
    assert "x-spendops-model" not in answer.headers
    event = gateway.one_event(key)
    assert (event.model_asked, event.tier) == ("gpt-5", "bulk")


@pytest.mark.parametrize(
    ("tier", "asked", "status"),
    [("bulk", "standard", 403), ("standard", "frontier", 403), ("frontier", "frontier", 200)],
)
def test_a_key_s_tier_is_the_highest_that_it_reaches(gateway, tier, asked, status):
    key = selected(gateway, *(chosen(each) for each in ("bulk", "standard", "frontier")), tier=tier)
    answer = key.chat(model=asked)
    assert answer.status_code == status
    if status == 403:
        assert answer.headers["x-spendops-reason"] == "tier_not_allowed"
        assert f"up to the tier {tier}, not {asked}" in answer.json()["error"]["message"]
        denial = gateway.one_denial(key)
        assert (denial.reason, denial.model_asked) == ("tier_not_allowed", asked)


@pytest.mark.parametrize(("tier", "meant"), [("", "bulk"), ("standard", "standard"), ("frontier", "standard")])
def test_auto_is_the_key_s_tier_and_never_frontier(gateway, tier, meant):
    key = selected(gateway, *(chosen(each) for each in ("bulk", "standard", "frontier")), tier=tier)
    assert key.chat(model="auto").status_code == 200
    assert gateway.one_event(key).tier == meant


def test_nothing_selected_is_said_with_what_to_select(gateway):
    key = selected(gateway, chosen("bulk"))
    answer = key.chat(model="standard")
    assert (answer.status_code, answer.headers["x-spendops-reason"]) == (404, "model_not_selected")
    message = answer.json()["error"]["message"]
    assert "No model is selected for the tier standard of /v1/chat/completions" in message
    assert "/models/selection" in message
    denial = gateway.one_denial(key)
    assert (denial.model_asked, set(denial.revs)) == ("standard", {key.document, routing_document(key.tenant)})
    stranger = gateway.issue()
    assert stranger.chat(model="bulk").status_code == 404


def test_tenants_selections_are_their_own(gateway):
    ours, theirs = selected(gateway, chosen("bulk")), selected(gateway, chosen("bulk", **SONNET))
    assert ours.chat(model="bulk").headers["x-spendops-model"] == "openai/gpt-4o-mini"
    assert theirs.chat(model="bulk").headers["x-spendops-model"] == "anthropic/claude-sonnet-4-6"


def test_a_project_s_selection_goes_before_the_tenant_s(gateway):
    key = selected(gateway, chosen("bulk"), chosen("bulk", project="p_test", **SONNET), chosen("bulk", "responses"))
    assert key.chat(model="bulk").headers["x-spendops-model"] == "anthropic/claude-sonnet-4-6"
    other = gateway.issue(tenant=key.tenant, project="p_other")
    assert other.chat(model="bulk").headers["x-spendops-model"] == "openai/gpt-4o-mini"


def test_a_model_that_is_no_longer_listed_gives_way_to_the_tenant_s(gateway):
    key = selected(gateway, chosen("bulk"), chosen("bulk", project="p_test", provider="openai", model="old-one"))
    assert key.chat(model="bulk").headers["x-spendops-model"] == "openai/gpt-4o-mini"


def test_an_unpriced_call_names_its_model_so_that_it_can_be_priced_later(gateway):
    key = selected(gateway, chosen("bulk", provider="openai", model="old-one"))
    assert key.chat(model="bulk").status_code == 200
    event = gateway.one_event(key)
    assert (event.model_asked, event.model_priced, event.cost, event.tier) == ("old-one", "", None, "bulk")


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"denied_models": ("gpt-4o*",)}, "model_not_allowed"),
        ({"allowed_models": ("claude*",)}, "model_not_allowed"),
        ({"allowed_models": ("bulk",)}, "model_not_allowed"),
        ({"denied_providers": ("openai",)}, "provider_not_allowed"),
    ],
)
def test_the_key_s_lists_hold_for_the_model_that_a_tier_stands_for(gateway, policy, reason):
    key = selected(gateway, chosen("bulk"), **policy)
    answer = key.chat(model="bulk")
    assert (answer.status_code, answer.headers["x-spendops-reason"]) == (403, reason)
    assert gateway.one_denial(key).model_asked == "bulk"


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        ({}, {"x-spendops-tier": "gold"}, "x-spendops-tier must be one of bulk, standard, frontier, auto"),
        ({"model": "bulk"}, {"x-spendops-tier": "frontier"}, "asks for the tier bulk and x-spendops-tier for frontier"),
    ],
)
def test_what_makes_no_sense_is_a_bad_request(gateway, body, headers, says):
    key = selected(gateway, chosen("bulk"))
    answer = key.chat(headers=headers, **body)
    assert (answer.status_code, answer.headers["x-spendops-reason"]) == (400, "body_invalid")
    assert says in answer.json()["error"]["message"]


def test_every_route_has_selections_of_its_own(gateway):
    key = selected(
        gateway,
        chosen("bulk", "responses"),
        chosen("bulk", "embeddings", provider="openai", model="text-embedding-3-small"),
        chosen("bulk", "messages", **SONNET),
    )
    calls = {
        "/v1/responses": {"input": "Hello"},
        "/v1/embeddings": {"input": "Hello"},
        "/v1/messages": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9},
    }
    models = [key.post(path, {"model": "bulk", **body}).headers.get("x-spendops-model") for path, body in calls.items()]
    assert models == ["openai/gpt-4o-mini", "openai/text-embedding-3-small", "anthropic/claude-sonnet-4-6"]
    assert key.chat(model="bulk").status_code == 404


def test_a_provider_that_does_not_speak_the_route_is_not_called(gateway):
    key = selected(gateway, chosen("bulk", "messages"))
    body = {"model": "bulk", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}
    answer = key.post("/v1/messages", body)
    assert (answer.status_code, answer.headers["x-spendops-reason"]) == (404, "provider_unknown")


def test_a_changed_selection_is_felt_and_a_deleted_one_too(gateway):
    key = selected(gateway, chosen("bulk"))
    gateway.select(key.tenant, chosen("bulk", **SONNET))
    wait_for(
        lambda: key.chat(model="bulk").headers["x-spendops-model"] == "anthropic/claude-sonnet-4-6", "the new model"
    )
    gateway.write(Write(routing_document(key.tenant), gateway.rev(), None))
    wait_for(lambda: key.chat(model="bulk").status_code == 404, "the end of the selection")


def test_selections_that_cannot_be_read_stop_callers_of_tiers_only(gateway):
    key = selected(gateway, chosen("bulk"))
    gateway.write(Write(routing_document(key.tenant), gateway.rev(), b'{"schema":1,"selections":7}'))
    wait_for(lambda: key.chat(model="bulk").status_code == 503, "the refusal")
    assert key.chat(model="bulk").headers["x-spendops-reason"] == "policy_unavailable"
    assert key.chat().status_code == 200


def test_a_stream_names_the_model_too(gateway):
    key = selected(gateway, chosen("bulk"))
    answer = key.chat(model="bulk", stream=True)
    assert answer.headers["x-spendops-model"] == "openai/gpt-4o-mini"
    assert gateway.one_event(key).model_asked == "bulk"


def test_tiers_that_lead_to_a_model_are_listed_after_the_models(gateway, openai_client, anthropic_client):
    key = selected(gateway, chosen("bulk"), chosen("standard", "embeddings"), chosen("frontier", "messages", **SONNET))
    models = list(openai_client(key).models.list())
    assert [(model.id, model.owned_by) for model in models[-2:]] == [("bulk", "spendops"), ("standard", "spendops")]
    assert "gpt-4o-mini" in {model.id for model in models[:-2]}
    assert not {"frontier", "auto"} & {model.id for model in models}
    messages = [model.id for model in anthropic_client(key).models.list()]
    assert messages[-1] == "frontier"
    assert not {"bulk", "standard", "auto"} & set(messages)


def test_tiers_that_would_be_refused_are_not_listed(gateway, openai_client):
    def tiers_listed(key) -> list[str]:
        return [model.id for model in openai_client(key).models.list() if model.id in TIERS]

    everything = [chosen(each) for each in ("bulk", "standard")]
    assert tiers_listed(selected(gateway, *everything)) == ["bulk", "standard"]
    assert tiers_listed(selected(gateway, *everything, tier="bulk")) == ["bulk"]
    key = selected(gateway, chosen("bulk"), chosen("standard", **SONNET), denied_models=("gpt-4o-mini",))
    assert tiers_listed(key) == ["standard"]
    assert tiers_listed(gateway.issue()) == []


def test_selections_that_cannot_be_read_leave_the_models_listed(gateway, openai_client):
    key = selected(gateway, chosen("bulk"))
    gateway.write(Write(routing_document(key.tenant), gateway.rev(), b'{"schema":1,"selections":7}'))
    wait_for(lambda: "bulk" not in {model.id for model in openai_client(key).models.list()}, "the end of the tier")
    assert "gpt-4o-mini" in {model.id for model in openai_client(key).models.list()}
