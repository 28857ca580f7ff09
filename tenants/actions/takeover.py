"""Keys of another system go on working: their SHA-256 is taken over, all of a list or none of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import Change, Publish, Topic, record_all
from tenants.actions.keys import described
from tenants.actions.quotas import take_key
from tenants.actions.standing import hold_open
from tenants.errors import Fault, ManyRefusedError, RefusedError, StatusError
from tenants.models import ApiKey, Membership, Project, Tenant
from tenants.policy import KeySettings
from tenants.rules import clean_environment
from tenants.scope import across_tenants, tenant_scope
from tenants.takeover import ListedKey
from wire.keys import ID_LENGTH, hash_of_sha256, random_text

_AT_ONCE = 500  # hashes in one query


class Skipped(NamedTuple):
    """A line whose key is here already."""

    line: int
    key: ApiKey


class TakenOver(NamedTuple):
    """What became of a list. On a dry run the keys are those that would be made, and none is stored."""

    keys: list[ApiKey]
    skipped: list[Skipped]


def take_over_keys(
    *,
    tenant: Tenant,
    listed: Sequence[ListedKey],
    project: Project | None = None,
    env: str = "",
    dry_run: bool = False,
    by: Actor,
) -> TakenOver:
    """Take over the keys of a list: each works at its environment's gateway as it did before.

    `project` and `env` stand for what a line leaves out. A key whose hash is here already is skipped, whatever its
    status. Raises ManyRefusedError with all that is wrong, QuotaError and StatusError; then nothing was changed.
    """
    with transaction.atomic(), tenant_scope(tenant.id):
        wanted, faults = _understood(tenant, listed, project, env)
        fresh, skipped, more = _told_apart(tenant, wanted)
        if faults or more:
            raise ManyRefusedError(sorted([*faults, *more]))
        hold_open(tenant.id)
        keys = [_key(tenant, each, by=by) for each in fresh]
        try:
            with transaction.atomic():
                ApiKey.objects.bulk_create(keys)
                for project_id, number in sorted(Counter(key.project_id for key in keys).items()):
                    take_key(tenant.id, project_id, number)
                if dry_run:
                    transaction.set_rollback(True)
        except IntegrityError as error:
            raise StatusError(
                "One of these keys was taken over by somebody else at the same moment. Nothing was changed: try again."
            ) from error
        if not dry_run:
            record_all(
                [
                    Change("api_key.taken_over", "api_key", key.id, None, described(key), [Publish(Topic.KEY, key.id)])
                    for key in keys
                ],
                by=by,
                tenant=tenant.id,
            )
    return TakenOver(keys, skipped)


class _Wanted(NamedTuple):
    line: int
    digest: bytes
    env: str
    settings: KeySettings


def _understood(
    tenant: Tenant, listed: Sequence[ListedKey], project: Project | None, env: str
) -> tuple[list[_Wanted], list[Fault]]:
    """The lines with names looked up and settings cleaned, and what is wrong with the others."""
    projects = list(Project.objects.filter(tenant=tenant))
    named = {each.id: each for each in projects} | {each.name.lower(): each for each in projects}
    members = dict(Membership.objects.filter(tenant=tenant, user__is_active=True).values_list("user__email", "user_id"))
    now, found, faults = timezone.now(), [], []
    for each in listed:
        its_project = named.get(each.project.lower()) if each.project else project
        its_owner = members.get(each.owner.lower(), "") if each.owner else ""
        if its_project is None:
            what = f"There is no project {each.project[:60]!r}: create it first." if each.project else "Name a project."
            faults.append(Fault(each.line, "project", what))
        elif its_project.status == Project.Status.ARCHIVED:
            faults.append(Fault(each.line, "project", f"The project “{its_project.name}” is archived."))
        if each.owner and not its_owner:
            faults.append(Fault(each.line, "owner", "No member of this tenant has this e-mail address."))
        try:
            its_env = clean_environment(each.env or env, known=settings.SPENDOPS.environments)
            cleaned = KeySettings(
                project=its_project.id if its_project else "", owner=its_owner, **each.settings
            ).clean(now=now)
        except RefusedError as error:
            faults.append(Fault(each.line, error.field, error.message))
        else:
            found.append(_Wanted(each.line, each.digest, its_env, cleaned))
    return found, faults


def _told_apart(tenant: Tenant, wanted: list[_Wanted]) -> tuple[list[_Wanted], list[Skipped], list[Fault]]:
    """New ones, those that are here already under any pepper, and those that are somebody else's."""
    known: dict[str, ApiKey] = {}
    hashes = {
        hash_of_sha256(each.digest, pepper): each for each in wanted for pepper in settings.SPENDOPS.peppers.values()
    }
    names = list(hashes)
    with across_tenants("a hash stands once in the whole installation"):
        for begin in range(0, len(names), _AT_ONCE):
            for key in ApiKey.objects.filter(hash__in=names[begin : begin + _AT_ONCE]):
                known[key.hash] = key
    here = {hashes[name].line: key for name, key in known.items()}
    fresh = [each for each in wanted if each.line not in here]
    skipped = [Skipped(each.line, here[each.line]) for each in wanted if _is_of(here.get(each.line), tenant)]
    faults = [
        Fault(each.line, "sha256", "A key with this hash exists outside this tenant, and cannot be taken over.")
        for each in wanted
        if each.line in here and not _is_of(here[each.line], tenant)
    ]
    return fresh, skipped, faults


def _is_of(key: ApiKey | None, tenant: Tenant) -> bool:
    return key is not None and key.tenant_id == tenant.id


def _key(tenant: Tenant, wanted: _Wanted, *, by: Actor) -> ApiKey:
    return ApiKey(
        id=random_text(ID_LENGTH),
        tenant=tenant,
        env=wanted.env,
        hash=hash_of_sha256(wanted.digest, settings.SPENDOPS.pepper),
        pepper_version=settings.SPENDOPS.pepper_version,
        taken_over=True,
        created_by=by.id,
        **wanted.settings.columns(),
    )
