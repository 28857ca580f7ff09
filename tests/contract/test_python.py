"""The gateway's own code gives what the contract's cases expect."""

from __future__ import annotations

import re

import pytest

from gateway.rules import HTTP_STATUS
from tests.contract.cases import CASES, NAMES, encoded, shared_documents
from tests.contract.gateway import Gateway
from wire.events import Denied

# Said by a gateway of what lies outside of key, tenant and prices: its settings, limits, queues, what tiers stand for,
# and the request itself.
ELSEWHERE = {
    Denied.PROVIDER_UNKNOWN,
    Denied.TIER_NOT_ALLOWED,
    Denied.MODEL_NOT_SELECTED,
    Denied.MODEL_UNPRICED,
    Denied.ROUTE_UNKNOWN,
    Denied.BODY_INVALID,
    Denied.BODY_TOO_LARGE,
    Denied.OUTBOX_UNAVAILABLE,
}


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_gateway_decides_and_prices_as_agreed(case):
    documents = encoded(shared_documents(case.env) | case.documents)
    answer = Gateway(case.env, case.peppers, documents).answer(case.key, case.asked)
    assert {name: answer[name] for name in case.expected} == case.expected


def test_every_reason_that_documents_can_give_has_a_case():
    shown = {case.expected["reason"] for case in CASES} - {""}
    assert shown == set(Denied) - ELSEWHERE
    assert set(HTTP_STATUS) == set(Denied)


@pytest.mark.parametrize("case", [case for case in CASES if case.sum], ids=lambda case: case.about)
def test_the_amounts_are_those_of_the_sums(case):
    addends = re.findall(r"([\d,]+) × ([\d,]+)", case.sum)
    total = sum(int(count.replace(",", "")) * int(price.replace(",", "")) for count, price in addends)
    assert str(total) == case.expected["cost_pico"]


def test_cases_do_not_share_keys_or_names():
    keys = [case.key for case in CASES if case.documents]
    assert len(set(keys)) == len(keys)
    assert len(set(NAMES)) == len(NAMES) > 40
