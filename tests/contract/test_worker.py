"""The reference Worker, on Cloudflare's own runtime, gives what the contract's cases expect."""

from __future__ import annotations

import pytest

from tests.cloudflare.peer import PEPPERS, Peer
from tests.contract.cases import CASES, NAMES, encoded, shared_documents
from tests.contract.worker import Worker, publish


@pytest.fixture(scope="module")
def published(cloudflare_runtime: Peer) -> Peer:
    """Both namespaces with what the cases need."""
    cloudflare_runtime.empty()
    for env in ("dev", "prod"):
        documents = shared_documents(env)
        for case in CASES:
            documents |= case.documents if case.env == env else {}
        publish(cloudflare_runtime, env, encoded(documents))
    return cloudflare_runtime


def test_the_runtime_has_the_peppers_of_the_cases():
    assert {case.peppers for case in CASES} == {tuple(pepper.encode() for pepper in PEPPERS.values())}


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_worker_decides_and_prices_as_agreed(published, http, case):
    answer = Worker(published, case.env, http).answer(case.key, case.asked)
    assert {name: answer[name] for name in case.expected} == case.expected
