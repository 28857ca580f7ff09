"""Decisions: the contract's cases, and that the same documents always come to the same reason."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.rules import HTTP_STATUS, Asked, decide
from tests.wire.test_contract import cases
from wire.documents import Block, KeyPolicy, KeyStatus, TenantState, decode_key, decode_tenant, encode
from wire.events import Denied


@pytest.mark.parametrize("case", cases("decisions.json"))
def test_the_contracts_cases(case):
    policy = decode_key(msgspec.json.encode(case["policy"]))
    tenant = decode_tenant(msgspec.json.encode(case["tenant"])) if case["tenant"] else None
    asked = Asked(case["asked"]["provider"], case["asked"]["model"], tuple(case["asked"].get("also", ())))
    refusal = decide(policy, tenant, asked, env=case["env"], now=case["now"], address=case.get("address", ""))
    assert (refusal.reason if refusal else None) == case["reason"]
    if "message" in case:
        assert refusal.message == case["message"]


def test_every_reason_has_a_status_that_says_whether_to_try_again():
    assert set(HTTP_STATUS) == set(Denied)
    tried_again = {reason for reason, status in HTTP_STATUS.items() if status in (408, 409, 429) or status >= 500}
    assert tried_again == {Denied.RATE_LIMITED, Denied.POLICY_UNAVAILABLE, Denied.OUTBOX_UNAVAILABLE}


ADDRESS = "192.0.2.7"
NAMES = st.sampled_from(["gpt-4o", "gpt-4o-mini", "gpt-5", "openai/gpt-4o", "claude-sonnet-4-6", "GPT-4O", "a[b]c"])
PROVIDERS = st.sampled_from(["openai", "anthropic", "openrouter"])
PATTERNS = st.lists(NAMES | st.sampled_from(["gpt-*", "*", "claude-?onnet*", "openai/*", "[!g]*", ""]), max_size=3)
BLOCKS = st.none() | st.builds(
    Block, reason=st.sampled_from(["budget_exhausted", "new"]), message=st.just("m"), until=st.integers(0, 20)
)
POLICIES = st.builds(
    KeyPolicy, rev=st.integers(1, 9), env=st.sampled_from(["dev", "prod"]), tenant=st.just("t_abc123"),
    project=st.just("p"), key=st.just("k"), status=st.sampled_from(KeyStatus), not_before=st.integers(0, 20),
    expires=st.integers(0, 20), allowed_models=PATTERNS.map(tuple), denied_models=PATTERNS.map(tuple),
    allowed_providers=st.lists(PROVIDERS, max_size=2).map(tuple), block=BLOCKS,
    networks=st.sampled_from([(), ("192.0.2.0/24",), ("198.51.100.0/24", "2001:db8::/32")]),
)  # fmt: skip
TENANTS = st.none() | st.builds(
    TenantState, rev=st.integers(1, 9), env=st.just("dev"), tenant=st.just("t_abc123"), suspended=st.booleans(),
    block=BLOCKS,
)  # fmt: skip


@settings(deadline=None)
@given(POLICIES, TENANTS, PROVIDERS, NAMES, st.integers(0, 20))
def test_a_denial_can_be_decided_again_from_the_kept_documents(policy, tenant, provider, model, now):
    first = decide(policy, tenant, Asked(provider, model), env="dev", now=now, address=ADDRESS)
    kept = decode_key(encode(policy)), decode_tenant(encode(tenant)) if tenant else None
    assert decide(*kept, Asked(provider, model), env="dev", now=now, address=ADDRESS) == first


@settings(deadline=None)
@given(POLICIES, TENANTS, PROVIDERS, NAMES, st.integers(0, 20))
def test_a_list_only_ever_takes_away(policy, tenant, provider, model, now):
    """A key with lists is never allowed what the same key without them is refused."""
    asked = Asked(provider, model)
    free = msgspec.structs.replace(policy, allowed_models=(), denied_models=(), allowed_providers=())
    if decide(policy, tenant, asked, env="dev", now=now, address=ADDRESS) is None:
        assert decide(free, tenant, asked, env="dev", now=now, address=ADDRESS) is None
