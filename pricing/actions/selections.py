"""Which models a tenant's tiers stand for: selected, changed, cleared. Gateways know within a second."""

from __future__ import annotations

from django.db import transaction

from changes.actor import Actor
from changes.record import Publish, Topic, record
from pricing.models import Model, Selection
from pricing.queries_selections import current_price_of, selections_mark, uses_by_price
from pricing.selection_rules import USE_LABELS, clean_tier, clean_use
from tenants.actions.standing import hold_open
from tenants.errors import InvalidSettingError, StaleError, StatusError
from tenants.models import Project, Tenant
from tenants.scope import tenant_scope

NONE_YET = 0  # the version of a selection that is not there


def select_model(
    *,
    tenant: Tenant,
    project: Project | None = None,
    use: str,
    tier: str,
    provider: str,
    model: str,
    version: int | None = None,
    mark: str | None = None,
    by: Actor,
) -> Selection:
    """Let a tier stand for a model in one use, for a tenant or for one of its projects.

    `version` is that of the selection that the caller saw (0 for none), `mark` that of all of the tenant's. Raises
    StaleError when it is no longer that, InvalidSettingError for a model that cannot be selected, and StatusError.
    The same again changes nothing.
    """
    clean_use(use)
    clean_tier(tier)
    with transaction.atomic(), tenant_scope(tenant.id):
        hold_open(tenant.id)
        _check_project(tenant, project)
        row = _standing(tenant, project, use, tier)
        _refuse_overtaken(tenant, row, use, tier, version, mark)
        _check_model(use, provider, model)
        if row is not None and (row.provider, row.model) == (provider, model):
            return row
        before = _described(row) if row is not None else None
        if row is None:
            row = Selection(tenant=tenant, project=project, use=use, tier=tier, version=NONE_YET)
        row.provider, row.model = provider, model
        row.version += 1
        row.save()
        _record("selection.made", row, by=by, before=before, after=_described(row))
        return row


def clear_selection(
    *,
    tenant: Tenant,
    project: Project | None = None,
    use: str,
    tier: str,
    version: int | None = None,
    mark: str | None = None,
    by: Actor,
) -> bool:
    """Take a selection away; returns whether there was one. Callers of the tier then get the tenant's, or are refused.

    Raises StaleError as `select_model` does, InvalidSettingError and StatusError.
    """
    clean_use(use)
    clean_tier(tier)
    with transaction.atomic(), tenant_scope(tenant.id):
        hold_open(tenant.id)
        _check_project(tenant, project)
        row = _standing(tenant, project, use, tier)
        _refuse_overtaken(tenant, row, use, tier, version, mark)
        if row is None:
            return False
        before = _described(row)
        row.delete()
        _record("selection.cleared", row, by=by, before=before, after=None)
        return True


def _standing(tenant: Tenant, project: Project | None, use: str, tier: str) -> Selection | None:
    found: Selection | None = Selection.objects.filter(tenant=tenant, project=project, use=use, tier=tier).first()
    return found


def _refuse_overtaken(
    tenant: Tenant, row: Selection | None, use: str, tier: str, version: int | None, mark: str | None
) -> None:
    """The tenant is locked, so nobody changes a selection between this look and the write."""
    now = row.version if row is not None else NONE_YET
    overtaken = version is not None and version != now
    if not overtaken and (mark is None or mark == selections_mark(tenant.id)):
        return
    stands = f"now it is {row.provider}/{row.model}" if row is not None else "now none is selected"
    raise StaleError(
        f"Somebody changed {'the model' if overtaken else 'a selection'} after you looked: for {tier} of "
        f"{USE_LABELS[use].lower()} {stands}. Look at what is selected, then send your change again."
    )


def _check_project(tenant: Tenant, project: Project | None) -> None:
    if project is None:
        return
    if project.tenant_id != tenant.id:
        raise InvalidSettingError("There is no such project in this tenant: choose one of its own.", field="project")
    if project.status == Project.Status.ARCHIVED:
        raise StatusError(f"The project “{project.name}” is archived and cannot be changed: bring it back first.")


def _check_model(use: str, provider: str, model: str) -> None:
    price = current_price_of(provider, model)
    if price is None:
        known = Model.objects.filter(provider=provider, model_id=model).exists()
        why = "is no longer listed" if known else "is not in the catalogue"
        raise InvalidSettingError(
            f"{model[:120]!r} of {provider[:60]!r} {why}: choose a model of the page Pricing, named as it is there.",
            field="model",
        )
    uses = uses_by_price(price)
    if not uses:
        raise InvalidSettingError(
            f"{model} has no price that calls could be counted by: choose a model with one.", field="model"
        )
    if use not in uses:
        raise InvalidSettingError(
            f"{model} cannot be selected for {USE_LABELS[use].lower()}: it is for "
            f"{' and '.join(USE_LABELS[each].lower() for each in uses)}.",
            field="model",
        )


def _described(row: Selection) -> dict[str, str]:
    return {
        "use": row.use,
        "tier": row.tier,
        "project": row.project_id or "",
        "model": f"{row.provider}/{row.model}",
    }


def _record(
    kind: str, row: Selection, *, by: Actor, before: dict[str, str] | None, after: dict[str, str] | None
) -> None:
    record(
        kind,
        by=by,
        tenant=row.tenant_id,
        target_kind="selection",
        target_id=" ".join(filter(None, (row.use, row.tier, row.project_id))),
        before=before,
        after=after,
        publish=[Publish(Topic.ROUTING, row.tenant_id)],
    )
