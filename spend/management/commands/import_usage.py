"""`manage.py import_usage FILE`: bring usage in that did not pass the gateway. --dry-run says what would come in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from changes.actor import Actor
from spend.importing.actions import PART, begin_import, confirm_import, discard_import
from spend.importing.adapters import ADAPTERS
from spend.importing.forms import read_mapping
from spend.importing.queries import shown_sums
from spend.importing.run import work_off
from spend.models import UsageImport
from tenants.errors import RefusedError
from tenants.management.base import tenant_named
from tenants.models import Project, Tenant
from tenants.scope import tenant_scope
from wire.display import counted, usd

BY = Actor.system("manage.import_usage")
ERRORS_SHOWN = 20
_WAIT_SECONDS = 1.0


class Command(BaseCommand):
    help = (
        "Bring usage in that did not pass the gateway. With --dry-run it only says what would come in; without, "
        "it checks the file and brings in what can be. The same file again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the file, 200 MB at most")
        parser.add_argument("--source", required=True, choices=list(ADAPTERS), help="what kind of file it is")
        parser.add_argument("--tenant", required=True, help="whose usage it is, by id or name")
        parser.add_argument("--project", default="", help="of what the mapping does not name; id or name")
        parser.add_argument("--env", default="prod", help="the environment that it counts in")
        parser.add_argument("--mapping", type=Path, help="a file with lines like: theirs = our project, credential")
        parser.add_argument("--dry-run", action="store_true", help="only say what would come in")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = tenant_named(options["tenant"])
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        try:
            mapping = read_mapping(options["mapping"].read_text("utf-8")) if options["mapping"] else {}
            job = begin_import(
                tenant=tenant,
                kind=options["source"],
                project_id=_project(tenant, options["project"]),
                env=options["env"],
                file_name=path.name,
                pieces=_pieces(path),
                mapping=mapping,
                by=BY,
            )
            job = self._through(job)
            if options["dry_run"]:
                if job.status == UsageImport.Status.CHECKED:
                    discard_import(job=job, by=BY)
            elif job.status == UsageImport.Status.CHECKED and any(
                job.counts[name] for name in ("new", "changed", "matched")
            ):
                job = self._through(confirm_import(job=job, by=BY))
            elif job.status == UsageImport.Status.CHECKED:
                discard_import(job=job, by=BY)
        except (RefusedError, OSError, UnicodeDecodeError) as error:
            raise CommandError(getattr(error, "message", str(error))) from error
        if job.status == UsageImport.Status.FAILED:
            raise CommandError(job.error)
        self.stdout.write(json.dumps(_said(job, dry=options["dry_run"])) if options["json"] else _sentences(job))

    def _through(self, job: UsageImport) -> UsageImport:
        """Work a job off, or wait for whoever does."""
        progress = _Progress(self.stderr)
        status = job.status
        while job.status == status:
            if not work_off(job.pk, job.tenant_id, told=progress):
                time.sleep(_WAIT_SECONDS)
            with tenant_scope(job.tenant_id):
                job = UsageImport.objects.get(pk=job.pk)
            if job.status == status and job.error:
                raise CommandError(job.error)
        return job


class _Progress:
    """A line each second at most, beside what is printed in the end."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._next = time.monotonic() + 1

    def __call__(self, job: UsageImport) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 1
            self._out.write(f"{job.done:,} rows {'checked' if job.status == 'checking' else 'brought in'}")


def _project(tenant: Tenant, named: str) -> str:
    with tenant_scope(tenant.id):
        projects = list(Project.objects.filter(tenant=tenant).order_by("created_at", "pk"))
    found = [each for each in projects if named in (each.pk, each.name)] if named else projects
    if len(found) != 1:
        raise CommandError("Say with --project in which project it counts, by its id or name.")
    return str(found[0].pk)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PART):
            yield piece


def _said(job: UsageImport, *, dry: bool) -> dict[str, Any]:
    sums = shown_sums(job)
    return {
        "id": job.pk,
        "dry_run": dry,
        "status": job.status,
        "sha256": job.digest,
        **job.counts,
        "cost_usd": f"{sum(each.cost for each in sums):.12f}",
        "errors": [{"line": line, "path": path, "message": why} for line, path, why in job.errors],
    }


def _sentences(job: UsageImport) -> str:
    counts, sums = job.counts, shown_sums(job)
    dry = job.status == UsageImport.Status.CHECKED
    lines = [
        f"{counted(counts['read'], 'row')} read: {counts['new']:,} {'would come' if dry else 'came'} in, "
        f"{counts['changed']:,} newer than what stands, {counts['same']:,} stood already, "
        f"{counts['matched']:,} passed the gateway, {counts['refused']:,} refused. "
        f"Cost: {usd(sum(each.cost for each in sums))}."
    ]
    lines += [f"line {line}{f' ({path})' if path else ''}: {why}" for line, path, why in job.errors[:ERRORS_SHOWN]]
    if counts["refused"] > ERRORS_SHOWN:
        lines.append(f"and {counts['refused'] - ERRORS_SHOWN:,} more lines")
    return "\n".join(lines)
