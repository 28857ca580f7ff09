"""At a real gateway: a key of another system works once its hash was taken over, and what is stopped is refused."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from changes.record import Topic
from publishing.render import render
from tenants.actions.keys import revoke_key
from tenants.actions.projects import resume_project, suspend_project
from tenants.actions.takeover import take_over_keys
from tenants.actions.tenants import resume_tenant, suspend_tenant
from tenants.scope import across_tenants
from tenants.takeover import read_list
from tests.gateway.peers import GatewayUnderTest, IssuedKey, wait_for
from tests.tenants.making import SOMEBODY, make_tenant, project_of
from wire.documents import encode
from wire.kv.base import Write

pytestmark = pytest.mark.django_db

OLD = "sk-Gm1Yx0pZ3v9Qb2Lw8Rk4Tn"  # as LiteLLM makes them


@pytest.fixture
def gateway(make_gateway: Callable[..., GatewayUnderTest], settings: Any) -> GatewayUnderTest:
    """A gateway with the management plane's pepper."""
    return make_gateway(SPENDOPS_KEY_PEPPER=settings.SPENDOPS.pepper.decode()).start()


def publish(gateway: GatewayUnderTest, topic: Topic, object_id: str) -> None:
    with across_tenants("the publisher works for all tenants"):
        for document in render(topic, [object_id], environments=[gateway.env])[object_id]:
            rev = gateway.rev()
            assert document.content is not None
            gateway.write(Write(document.key, rev, encode(msgspec.structs.replace(document.content, rev=rev))))


def code_of(key: IssuedKey) -> tuple[int, str]:
    answer = key.chat()
    return answer.status_code, answer.json().get("error", {}).get("code", "")


def test_an_old_key_works_and_obeys(gateway):
    tenant = make_tenant("Acme")
    project = project_of(tenant)
    program = IssuedKey(gateway, OLD, "", tenant.id)
    assert code_of(program) == (401, "key_malformed")
    text = f"name,sha256\nOld bot,{sha256(OLD.encode()).hexdigest()}\n"
    listed = read_list(text, zone=ZoneInfo("UTC"))
    key = take_over_keys(tenant=tenant, listed=listed, project=project, env="dev", by=SOMEBODY).keys[0]
    publish(gateway, Topic.KEY, key.id)
    publish(gateway, Topic.TENANT, tenant.id)
    wait_for(lambda: code_of(program) == (200, ""), "the key that was taken over")
    event = gateway.usage()[0]
    assert (event.tenant, event.project, event.key) == (tenant.id, project.id, key.id)

    suspend_tenant(tenant=tenant, reason="Unpaid.", by=SOMEBODY)
    publish(gateway, Topic.TENANT, tenant.id)
    wait_for(lambda: code_of(program) == (402, "tenant_suspended"), "the suspension of the tenant")
    assert "suspended" in program.chat().json()["error"]["message"]
    resume_tenant(tenant=tenant, by=SOMEBODY)
    publish(gateway, Topic.TENANT, tenant.id)
    wait_for(lambda: code_of(program) == (200, ""), "the tenant's return")

    suspend_project(project=project, reason="Runaway script.", by=SOMEBODY)
    publish(gateway, Topic.TENANT, tenant.id)
    wait_for(lambda: code_of(program) == (402, "project_suspended"), "the suspension of the project")
    resume_project(project=project, by=SOMEBODY)
    publish(gateway, Topic.TENANT, tenant.id)
    wait_for(lambda: code_of(program) == (200, ""), "the project's return")

    revoke_key(key=key, by=SOMEBODY)
    publish(gateway, Topic.KEY, key.id)
    wait_for(lambda: code_of(program) == (401, "key_revoked"), "the revocation")
