"""Imports for tests: a file handed in, checked, confirmed and worked off, and its days counted."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from changes.actor import Actor
from spend.importing.actions import begin_import, confirm_import, withdraw_import
from spend.importing.run import settle_all_late, work_off
from spend.models import UsageImport
from spend.queries.slices import Cell, Slice, cells
from spend.rollup import recount
from tenants.models import Project, Tenant
from tenants.scope import tenant_scope

BY = Actor("user", "u_somebody0001", role="tenant_admin")
FILES = Path(__file__).parent / "fixtures" / "imports"
NOV_1 = 1_793_491_200
DAY = 86_400


def counted() -> None:
    while recount():
        pass


def first_project(tenant: Tenant) -> str:
    """The project that the tenant began with."""
    with tenant_scope(tenant.id):
        return Project.objects.order_by("created_at", "pk").first().pk


def fresh(job: UsageImport) -> UsageImport:
    with tenant_scope(job.tenant_id):
        return UsageImport.objects.get(pk=job.pk)


def check(tenant: Tenant, body: bytes | str, kind: str = "file", **options: Any) -> UsageImport:
    """A file handed in and checked; `body` is its content, or the name of a fixture."""
    content = (FILES / body).read_bytes() if isinstance(body, str) else body
    project = options.pop("project_id", None) or first_project(tenant)
    job = begin_import(
        tenant=tenant,
        kind=kind,
        project_id=project,
        env=options.pop("env", "prod"),
        file_name=options.pop("file_name", "usage"),
        pieces=[content],
        by=BY,
        **options,
    )
    work_off(job.pk, tenant.id)
    return fresh(job)


def bring(tenant: Tenant, body: bytes | str, kind: str = "file", **options: Any) -> UsageImport:
    """The same, confirmed and brought in. What the check said is what came."""
    checked = check(tenant, body, kind, **options)
    assert checked.status == UsageImport.Status.CHECKED, checked.error
    said = (checked.counts, checked.sums, checked.errors)
    if not any(checked.counts[name] for name in ("new", "changed", "matched")):
        return checked
    confirm_import(job=checked, by=BY)
    work_off(checked.pk, tenant.id)
    counted()
    done = fresh(checked)
    assert done.status == UsageImport.Status.DONE, done.error
    assert (done.counts, done.sums, done.errors) == said
    return done


def withdraw(job: UsageImport) -> UsageImport:
    withdraw_import(job=job, by=BY)
    work_off(job.pk, job.tenant_id)
    counted()
    return fresh(job)


def settle() -> int:
    """Settle against what came late, and count it."""
    counted()
    written = settle_all_late()
    counted()
    return written


def sums(tenant: Tenant, *by: str, first: date = date(2026, 10, 25), last: date = date(2026, 11, 10)) -> list[Cell]:
    return cells(tenant.id, Slice(first, last), by=by)


def total(tenant: Tenant) -> Cell | None:
    found = sums(tenant)
    return found[0] if found else None


def alike(tenant: Tenant) -> list[Any]:
    """The sums by day and model, from the rollup; equal to those from the events, or the test ends here."""
    by = ["model", "project", "key", "env"]
    rollup = cells(tenant.id, Slice(date(2026, 10, 25), date(2026, 11, 10)), by=by)
    events = cells(tenant.id, Slice(date(2026, 10, 25), date(2026, 11, 10)), by=[*by, "kind"])
    assert [cell._replace(groups=cell.groups[:4]) for cell in events] == rollup
    return rollup


def lines(*rows: dict[str, Any]) -> bytes:
    """Rows of our own format."""
    return "\n".join(json.dumps({"provider": "openai", "model": "gpt-4o-mini"} | row) for row in rows).encode()


def page(*results: dict[str, Any], start: int = NOV_1, seconds: int = DAY) -> bytes:
    """A page of OpenAI's usage report with one bucket."""
    known = {"object": "organization.usage.completions.result", "model": "gpt-4o-mini", "output_tokens": 0}
    bucket = {"object": "bucket", "start_time": start, "end_time": start + seconds}
    return json.dumps({"object": "page", "data": [bucket | {"results": [known | each for each in results]}]}).encode()


def at(hour: int, day: int = 1) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)
