"""Overrides: created, changed, archived, added from a list. Each change is a new version of the tenant's book of rules.

A tenant's row is locked first, so that versions follow one another and two people cannot make rules that overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from changes.actor import Actor
from changes.record import Change, Publish, Topic, record, record_all
from pricing.models import Override, OverrideBook
from pricing.override_lists import ListedOverride
from pricing.override_names import CatalogueNames
from pricing.override_rules import InvalidOverrideError, OverrideSettings, in_order
from pricing.queries_overrides import held_overrides
from tenants.actions.standing import hold_open
from tenants.actions.versions import refuse_overtaken
from tenants.errors import Fault, ManyRefusedError, NameTakenError, QuotaError, RefusedError, StatusError
from tenants.models import Project, Tenant
from tenants.scope import tenant_scope

OVERRIDES_MOST = 20_000  # active ones of a tenant: their document is read by gateways in one piece
_FOREVER = datetime.max.replace(tzinfo=UTC)
_AT_ONCE = 500

_Scope = tuple[str, str, str, int]


def create_override(*, tenant: Tenant, wanted: OverrideSettings, by: Actor) -> Override:
    """A new override. It applies to calls from its start on, and to those before when they are priced anew.

    Raises RefusedError with the field at fault.
    """
    with tenant_scope(tenant.id), transaction.atomic():
        hold_open(tenant.id)
        row = Override(tenant=tenant, created_at=timezone.now())
        _Checks(tenant).take(row, wanted)
        row.save(force_insert=True)
        _record("override.created", row, by=by, after=described(row))
    return row


def change_override(*, override: Override, wanted: OverrideSettings, version: int | None = None, by: Actor) -> Override:
    """Replace what an override says, also for the past: to charge differently from a moment on, end it and begin
    another. Changing nothing records nothing.

    `version` is the one that the person saw. Raises StaleError when it is no longer that, and RefusedError.
    """
    with tenant_scope(override.tenant_id), transaction.atomic():
        tenant = hold_open(override.tenant_id)
        row = _locked(override)
        refuse_overtaken(row, version, target_kind="override")
        before = described(row)
        _Checks(tenant, without=row.pk).take(row, wanted)
        after = described(row)
        if after == before:
            return row
        row.version += 1
        row.save()
        changed = [name for name in after if after[name] != before[name]]
        _record(
            "override.changed",
            row,
            by=by,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
    return row


def archive_override(*, override: Override, version: int | None = None, by: Actor) -> Override:
    """End an override now. Calls that were made under it keep its price, also when they are priced anew.

    One that has not begun never will. Raises StaleError and StatusError.
    """
    with tenant_scope(override.tenant_id), transaction.atomic():
        hold_open(override.tenant_id)
        row = _locked(override)
        refuse_overtaken(row, version, target_kind="override")
        before = {"status": row.status, "ends_at": _text(row.ends_at)}
        now = _to_ms(timezone.now())
        row.ends_at = max(row.starts_at, min(now, row.ends_at or now))
        row.status = Override.Status.ARCHIVED
        row.version += 1
        row.save(update_fields=["ends_at", "status", "version"])
        _record(
            "override.archived", row, by=by, before=before, after={"status": row.status, "ends_at": _text(row.ends_at)}
        )
    return row


def import_overrides(
    *, tenant: Tenant, listed: Sequence[ListedOverride], dry_run: bool = False, by: Actor
) -> list[Override]:
    """Add the overrides of a list: all of them, as one new version, or none.

    On a dry run they are those that would be made, and nothing is stored. Raises ManyRefusedError with everything that
    is wrong, line by line, QuotaError and StatusError.
    """
    with tenant_scope(tenant.id), transaction.atomic():
        hold_open(tenant.id)
        checks = _Checks(tenant, all_at_once=True)
        rows: list[Override] = []
        faults: list[Fault] = []
        now = timezone.now()
        for each in listed:
            if each.faults:
                faults += each.faults
                continue
            row = Override(tenant=tenant, created_at=now)
            try:
                checks.take(row, checks.with_project(each), line=each.line)
            except RefusedError as error:
                faults.append(Fault(each.line, error.field, error.message))
            else:
                rows.append(row)
        if faults:
            raise ManyRefusedError(faults)
        if dry_run or not rows:
            return rows
        Override.objects.bulk_create(rows, batch_size=_AT_ONCE)
        book = _new_book(tenant.id)
        record_all(
            [
                *(Change("override.created", "override", row.pk, None, described(row), ()) for row in rows),
                Change(
                    "overrides.imported",
                    "tenant",
                    tenant.id,
                    None,
                    {"overrides": len(rows), "book": book.version},
                    (Publish(Topic.OVERRIDES, tenant.id),),
                ),
            ],
            by=by,
            tenant=tenant.id,
        )
    return rows


def described(row: Override) -> dict[str, Any]:
    """An override as the audit trail keeps it."""
    return {
        "name": row.name,
        "project": row.project_id or "",
        "provider": row.provider,
        "model": row.model,
        "kind": row.kind,
        "prices": dict(row.prices),
        "basis_points": row.basis_points,
        "starts_at": _text(row.starts_at),
        "ends_at": _text(row.ends_at),
        "priority": row.priority,
    }


class _Checks:
    """What an override is held against: the catalogue, the tenant's projects, its other active overrides.

    `all_at_once` reads all of these beforehand, for a list. What was taken counts for what is taken later.
    """

    def __init__(self, tenant: Tenant, *, without: str = "", all_at_once: bool = False) -> None:
        self._names = CatalogueNames()
        self._projects = {each.id: each for each in Project.objects.filter(tenant=tenant)}
        self._by_name = {each.name.lower(): each.id for each in self._projects.values()}
        self._active = Override.objects.filter(tenant=tenant, status=Override.Status.ACTIVE).exclude(pk=without)
        self._count = self._active.count()
        self._taken: dict[str, str] | None = None
        self._standing: dict[_Scope, list[tuple[datetime, datetime, str]]] = {}
        self._all_at_once = all_at_once
        if all_at_once:
            self._taken = {}
            for row in self._active:
                self._note(row, "")

    def with_project(self, listed: ListedOverride) -> OverrideSettings:
        """What a line says, with its project's id."""
        given = listed.settings.project
        return OverrideSettings(
            **{**vars(listed.settings), "project": self._by_name.get(given.lower(), given) if given else ""}
        )

    def take(self, row: Override, wanted: OverrideSettings, *, line: int = 0) -> None:
        """Put settings into a row. Raises RefusedError when they cannot stand."""
        given = wanted.clean()
        provider, model = self._names.checked(given.provider, given.model)
        if given.project and given.project not in self._projects:
            raise InvalidOverrideError(
                f"There is no project {given.project[:60]!r} in this tenant: choose one of its own.", field="project"
            )
        row.name, row.kind, row.provider, row.model = given.name, given.kind, provider, model
        row.project_id = given.project or None
        row.prices, row.basis_points = dict(given.prices), given.basis_points
        row.starts_at, row.ends_at, row.priority = given.starts_at, given.ends_at, given.priority
        self._refuse_taken_name(row)
        self._refuse_overlap(row)
        self._count += 1
        if self._count > OVERRIDES_MOST:
            raise QuotaError(f"A tenant has {OVERRIDES_MOST:,} overrides at most: archive some first.")
        if self._all_at_once:
            self._note(row, f" (line {line})")

    def _refuse_taken_name(self, row: Override) -> None:
        where = self._taken.get(row.name) if self._taken is not None else None
        if where is None and (self._taken is not None or not self._active.filter(name=row.name).exists()):
            return
        raise NameTakenError(
            f"There is an active override named “{row.name}” already{where or ''}: choose another name, or change that "
            "one.",
            field="name",
        )

    def _refuse_overlap(self, row: Override) -> None:
        ends = row.ends_at or _FOREVER
        for other_starts, other_ends, name in self._in_scope(row):
            if row.starts_at < other_ends and other_starts < ends:
                raise InvalidOverrideError(
                    f"{name} has the same project, provider, model and priority, and holds at the same time: which of "
                    "the two applies would be chance. Choose other days or another priority.",
                    field="priority",
                )

    def _in_scope(self, row: Override) -> Iterable[tuple[datetime, datetime, str]]:
        if self._all_at_once:
            return self._standing.get(_scope(row), ())
        same = self._active.filter(
            project=row.project_id, provider=row.provider, model=row.model, priority=row.priority
        )
        return [_span(other, "") for other in same]

    def _note(self, row: Override, where: str) -> None:
        assert self._taken is not None  # noqa: S101 - for the type checker
        self._taken[row.name] = where
        self._standing.setdefault(_scope(row), []).append(_span(row, where))


def _scope(row: Override) -> _Scope:
    return row.project_id or "", row.provider, row.model, row.priority


def _span(row: Override, where: str) -> tuple[datetime, datetime, str]:
    return row.starts_at, row.ends_at or _FOREVER, f"“{row.name}”{where}"


def _locked(override: Override) -> Override:
    row: Override = Override.objects.select_for_update().get(pk=override.pk)
    if row.status != Override.Status.ACTIVE:
        raise StatusError(f"“{row.name}” is archived: nothing of it can be changed. Create another override.")
    return row


def _new_book(tenant_id: str) -> OverrideBook:
    """All rules as they are now: those in force, those to come, and those that were and keep their calls' price."""
    rules = in_order(held_overrides(tenant_id))
    newest = OverrideBook.objects.filter(tenant=tenant_id).aggregate(newest=Max("version"))["newest"] or 0
    book: OverrideBook = OverrideBook.objects.create(
        tenant_id=tenant_id, version=newest + 1, rules=msgspec.to_builtins(rules)
    )
    return book


def _record(
    kind: str,
    row: Override,
    *,
    by: Actor,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any],
) -> None:
    book = _new_book(row.tenant_id)
    record(
        kind,
        by=by,
        tenant=row.tenant_id,
        target_kind="override",
        target_id=row.pk,
        before=before,
        after={**after, "book": book.version},
        publish=[Publish(Topic.OVERRIDES, row.tenant_id)],
    )


def _to_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _text(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat() if moment else ""
