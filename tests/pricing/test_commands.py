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


def test_it_says_what_was_wrong_with_a_source(source):
    source(acme())
    run()
    source(acme(5))
    with pytest.raises(CommandError, match=r"75 % fewer.*--accept-fewer"):
        run()
    assert current_version() == 1
    run("--accept-fewer")
    assert current_version() == 2


def test_the_scheduled_job_syncs_as_itself(source):
    source(acme())
    sync_task()
    assert AuditEvent.objects.get().actor_id == "pricing.sync"
    source(base.SourceError("The list is torn."))
    with pytest.raises(base.SourceError):
        sync_task()
    assert current_version() == 1
