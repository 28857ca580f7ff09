"""`manage.py sync_prices` and the scheduled job."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from changes.models import AuditEvent
from pricing.queries import current_version
from pricing.sources import base
from pricing.tasks import sync_prices as sync_task
from tests.pricing.catalogues import acme
from tests.pricing.conftest import Given

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("sync_prices", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def source(monkeypatch):
    """Puts another source in the place of the installed one."""

    def put(catalogue) -> None:
        monkeypatch.setattr("pricing.management.commands.sync_prices.INSTALLED", Given(catalogue))
        monkeypatch.setattr("pricing.tasks.INSTALLED", Given(catalogue))

    return put


def test_it_prints_what_it_brought(catalogue):
    first = run()
    models = f"{catalogue.model_count:,}"
    assert f"{models} models of {len(catalogue.providers)} providers, {catalogue.figure_count:,} prices" in first
    assert f"{len(catalogue.report.rounded)} rounded" in first
    assert "Price book 1 from genai-prices" in first
    assert f"{models} models new, 0 changed, 0 gone" in first
    assert "nothing changed" in run()


def test_it_prints_one_line_of_json(source):
    source(acme())
    printed = run("--json")
    assert printed.count("\n") == 1
    told = json.loads(printed)
    assert (told["version"], told["changed"], told["models"], told["providers"], told["new"]) == (1, True, 20, 1, 20)
    assert json.loads(run("--json"))["changed"] is False


def test_what_waits_can_be_accepted_by_its_digest(source):
    source(acme())
    run()
    source(acme(5))
    said = run()
    assert "nothing changed" in said
    assert "waits for a person: acme/model-10: given lists it no more, and 15 more." in said
    told = json.loads(run("--json"))
    assert current_version() == 1
    with pytest.raises(CommandError, match="not the changes that wait"):
        run("--accept", "0" * 64)
    assert f"--accept {told['waiting']['digest']}" in said
    assert json.loads(run("--accept", told["waiting"]["digest"], "--json"))["models"] == 5
    assert current_version() == 2
    with pytest.raises(CommandError, match="No change set waits"):
        run("--accept", told["waiting"]["digest"])


def test_a_broken_source_is_told(source):
    source(base.SourceError("The list is torn."))
    with pytest.raises(CommandError, match=r"The list is torn\."):
        run()


def test_the_scheduled_job_syncs_as_itself(source):
    source(acme())
    sync_task()
    assert AuditEvent.objects.get().actor_id == "pricing.sync"
    source(base.SourceError("The list is torn."))
    with pytest.raises(base.SourceError):
        sync_task()
    assert current_version() == 1
