"""C12: a key that is revoked is refused by the gateway; how long that took is measured and printed (pytest -s)."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime

import httpx
import pytest

from tests.gateway.peers import wait_for
from tests.spendops.installation import Installation

DEADLINE = 30.0


@pytest.mark.timeout(300)
def test_c12_a_revoked_key_is_refused_by_a_running_gateway(tmp_path, capsys):
    installation = Installation(tmp_path)
    try:
        installation.start("publisher", "manage.py", "publish")
        installation.start_gateway()
        tenant = json.loads(installation.manage("create_tenant", "Acme", "--json"))["id"]
        issued = json.loads(installation.manage("issue_key", "--tenant", tenant, "--name", "bot", "--json"))
        refused, seconds = _revoke_while_calling(installation, issued)
    finally:
        installation.end()
    assert refused == (401, "key_revoked")
    with capsys.disabled():
        print(f"\nC12: refused {seconds * 1000:.0f} ms after the revocation was stored")


def _revoke_while_calling(installation: Installation, issued: dict[str, str]) -> tuple[tuple[int, str], float]:
    """Call without pause, revoke meanwhile; how the first refused call was answered, and how late it was."""
    answers: list[tuple[float, int, str]] = []
    stop = threading.Event()

    def call() -> None:
        with httpx.Client(headers={"authorization": f"Bearer {issued['key']}"}, timeout=10) as client:
            while not stop.wait(0.002):
                answer = client.get(f"{installation.gateway}/v1/models")
                code = "" if answer.status_code == 200 else answer.json()["error"]["code"]
                answers.append((time.time(), answer.status_code, code))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        wait_for(lambda: any(status == 200 for _, status, _ in answers), "the key working", DEADLINE)
        revoked = json.loads(installation.manage("revoke_key", issued["id"], "--json"))
        moment = datetime.fromisoformat(revoked["revoked_at"]).timestamp()
        wait_for(lambda: answers[-1][1] == 401, "the refusal", DEADLINE)
    finally:
        stop.set()
        caller.join(DEADLINE)
    at, status, code = next(each for each in answers if each[0] > moment and each[1] != 200)
    assert all(status != 200 for when, status, _ in answers if when > at)  # and it stays refused
    return (status, code), at - moment
