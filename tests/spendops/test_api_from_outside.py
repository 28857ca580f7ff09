"""C15: schemathesis reads our OpenAPI and calls every operation with odd input; a planted bug shows that it would tell.

The token that it calls with is one of every tenant, so that the run, which revokes what it finds, does not end itself.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.urls import include, path
from django.utils import timezone
from ninja.openapi.schema import OpenAPISchema

import access.middleware
from tenants.actions.projects import create_project
from tenants.frame.callers import ServiceTokenAuth
from tenants.frame.openapi import FramedAPI
from tenants.models import Project
from tenants.permissions import Needs
from tenants.scope import tenant_scope
from tests.tenants.making import SOMEBODY, issue, make_tenant, service_token

HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("schemathesis")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(840)]


class Open(ServiceTokenAuth):
    """A door that says it needs a token and lets everybody through: the bug."""

    def __call__(self, request):
        return True


planted = FramedAPI(title="Planted", urls_namespace="planted")
nobody_asked = Open(Needs(frozenset(), frozenset()), people_only=False)


@planted.get("/planted/open", auth=nobody_asked, response={200: dict[str, int]})
def without_authentication(request):
    return {"secret": 1}


@planted.get("/planted/broken", auth=nobody_asked, response={200: dict[str, int]})
def broken(request, number: int):
    return {"result": 100 // (number if number < 0 else 0)}


urlpatterns = [path("api/v1/", planted.urls), path("", include(django_settings.ROOT_URLCONF))]


def run(live_server, tmp_path: Path, text: str, tenant_id: str, *more: str) -> tuple[int, dict, str]:
    """The exit status, the report and what was printed."""
    report = tmp_path / "report.json"
    shutil.copy(HERE / "schemathesis.toml", tmp_path)
    command = [
        *(str(PROGRAM), "run", f"{live_server.url}/api/v1/openapi.json"),
        *("--header", f"Authorization: Bearer {text}", "--header", f"X-SpendOps-Tenant: {tenant_id}"),
        *("--checks", "all", "--generation-deterministic", "--no-color", "--continue-on-failure"),
        *("--request-timeout", "30", "--report", "json", "--report-json-path", str(report), *more),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=800, check=False)
    return done.returncode, json.loads(report.read_text()), done.stdout + done.stderr


@pytest.fixture
def tenant(settings):
    """A tenant with something to find under the addresses of the examples."""
    settings.API_REQUESTS_PER_MINUTE = 1_000_000
    tenant = make_tenant("Acme")
    for number in range(3):
        issue(tenant, f"Key {number}")
        service_token(tenant, name=f"Token {number}")
        create_project(tenant=make_tenant(f"Neighbour {number}"), name="Theirs", by=SOMEBODY)
    with tenant_scope(tenant.id):
        Project.objects.create(id="p_4k2m9x0c1v7b", tenant=tenant, name="Of the examples")
    return tenant


def test_c15_every_operation_stands_what_a_stranger_may_send(live_server, clickhouse, tenant, tmp_path):
    text = service_token(None, days=365).text
    status, _, printed = run(live_server, tmp_path, text, tenant.id, "--max-examples", "5")
    assert status == 0, printed
    assert "Operations:" in printed


def test_c15_a_planted_bug_is_found(live_server, tenant, tmp_path, settings, monkeypatch):
    settings.ROOT_URLCONF = __name__
    monkeypatch.setattr(access.middleware, "is_admitted", lambda request: True)
    text = service_token(None, days=365).text
    status, _, printed = run(
        live_server, tmp_path, text, tenant.id, "--max-examples", "10", "--include-path-regex", "planted"
    )
    assert status == 1, printed
    assert "ST101" in printed, "the server error"
    assert "ST401" in printed, "the door that is not closed"


def test_the_examples_of_the_description_are_true(tenant, client):
    """What the description shows as a body is taken as it stands, but for its dates."""
    text = service_token(tenant).text
    headers = {"authorization": f"Bearer {text}"}
    described = client.get("/api/v1/openapi.json", headers=headers).json()
    for name, address in (("ProjectIn", "/projects"), ("KeyIn", "/keys"), ("TokenIn", "/tokens")):
        schema = described["components"]["schemas"][name]["properties"]
        body = {field: each["examples"][0] for field, each in schema.items() if each.get("examples")}
        if "expires_at" in body:
            body["expires_at"] = (timezone.now() + timedelta(days=3)).isoformat()
        answer = client.post(f"/api/v1{address}", body, content_type="application/json", headers=headers)
        assert answer.status_code == 201, answer.content


def test_no_two_schemas_of_the_description_share_a_name(tenant, client, monkeypatch):
    """The second would silently describe the first one's answers, too."""
    clashes = []
    add = OpenAPISchema.add_schema_definitions

    def watched(self, definitions):
        clashes.extend(name for name, each in definitions.items() if self.schemas.get(name, each) != each)
        add(self, definitions)

    monkeypatch.setattr(OpenAPISchema, "add_schema_definitions", watched)
    headers = {"authorization": f"Bearer {service_token(tenant).text}"}
    assert client.get("/api/v1/openapi.json", headers=headers).status_code == 200
    assert clashes == []
