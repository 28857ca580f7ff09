"""`manage.py export`: write a file of a tenant's spend, usage, denials or FOCUS rows, here and now."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from changes.actor import Actor
from spend.clickhouse.errors import ClickHouseError
from spend.exploring.filters import NOT
from spend.exports.actions import begin_export
from spend.exports.files import file_of, name_for
from spend.exports.run import work_off
from spend.exports.wanted import Format, Kind, Wanted, wanted_from
from spend.models import Export
from tenants.management.base import TenantCommand, tenant_named
from wire.display import counted


class Command(TenantCommand):
    help = (
        "Write a file of a tenant's spend, usage events, denials or FOCUS rows, with a manifest beside it. Its sums "
        "are those of the pages, to the last decimal."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("tenant", help="the tenant's id or name")
        parser.add_argument("--kind", choices=Kind.values, default=Kind.SPEND.value)
        parser.add_argument("--format", dest="written", choices=Format.values, default=Format.CSV.value)
        parser.add_argument("--from", dest="first", required=True, help="the first day, such as 2026-11-01")
        parser.add_argument("--to", dest="last", required=True, help="the last day, included")
        parser.add_argument("--zone", default="", help="the time zone of the days; the tenant's own when left out")
        parser.add_argument("--each", default="day", help="of spend: whole, day or hour")
        parser.add_argument(
            "--by",
            dest="groups",
            metavar="DIMENSION",
            action="append",
            default=[],
            help="of spend: group by this; may be repeated",
        )
        parser.add_argument(
            "--only", action="append", default=[], metavar="NAME=VALUE", help="narrow, as env=prod; may be repeated"
        )
        parser.add_argument(
            "--without", action="append", default=[], metavar="NAME=VALUE", help="leave out; may be repeated"
        )
        parser.add_argument(
            "--complete-only", action="store_true", help="rather no file than one of a period that is not complete"
        )
        parser.add_argument("--folder", type=Path, default=None, help="where the file is copied to, with its manifest")

    def perform(self, *, by: Actor, **options: Any) -> tuple[Any, str]:
        tenant, folder = tenant_named(options["tenant"]), options["folder"]
        if folder is not None and not folder.is_dir():
            raise CommandError(f"There is no folder {folder}.")
        wanted = _wanted(options)
        try:
            job = begin_export(
                tenant=tenant,
                wanted=wanted,
                written=options["written"],
                require_complete=options["complete_only"],
                by=by,
            )
        except ClickHouseError as error:
            raise CommandError(str(error)) from error
        self._work_off(job)
        job.refresh_from_db()
        if job.status != Export.Status.DONE:
            raise CommandError(job.error or f"The export is {job.get_status_display().lower()}.")
        path = file_of(job)
        if path is None:
            raise CommandError("The file is gone: run the command again.")
        if folder is not None:
            path = _copied(job, path, folder, tenant.name)
        return job.manifest | {"file": str(path)}, _sentence(job, path)

    def _work_off(self, job: Export) -> None:
        """Here, or wherever a worker has begun with it meanwhile."""
        while not work_off(job.pk, told=self._tell):
            job.refresh_from_db()
            if job.status not in (Export.Status.WAITING, Export.Status.RUNNING):
                return
            if job.error:
                raise CommandError(job.error)
            time.sleep(0.2)

    def _tell(self, job: Export) -> None:
        of = f" of {job.total:,}" if job.total else ""
        self.stderr.write(f"{job.rows:,}{of} rows, day {job.days_done} of {job.days}")


def _wanted(options: dict[str, Any]) -> Wanted:
    kind = Kind(options["kind"])
    given = [(name, options[name]) for name in ("first", "last", "zone")]
    if kind is Kind.SPEND:
        given += [("each", options["each"]), *(("by", name) for name in options["groups"])]
    for prefix, texts in (("", options["only"]), (NOT, options["without"])):
        for text in texts:
            name, is_there, value = text.partition("=")
            if not is_there:
                raise CommandError(f"{text!r} does not narrow anything: write it like env=prod.")
            given.append((f"{prefix}{name}", value))
    return wanted_from(kind, given)


def _copied(job: Export, path: Path, folder: Path, tenant_name: str) -> Path:
    said = job.manifest
    name = name_for(job, tenant_name=tenant_name, first=said["first_day"], last=said["last_day"])
    target = folder / name
    shutil.copyfile(path, target)
    manifest = json.dumps(said | {"file": name}, ensure_ascii=False, indent=2)
    (folder / f"{name}.json").write_text(manifest + "\n", encoding="utf-8")
    return target


def _sentence(job: Export, path: Path) -> str:
    lines = [f"{path}: {counted(job.rows, 'row')}, {job.bytes:,} bytes, SHA-256 {job.sha256}."]
    if job.partial:
        lines.append(f"Partial: {' '.join(job.partial)}")
    return "\n".join(lines)
