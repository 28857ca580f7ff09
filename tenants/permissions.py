"""Who may do what: the roles, the permissions, and the one table that joins them.

A view says what it needs with `@needs(…)`; `tenants.middleware` refuses whoever lacks it, and every view that says
nothing. One's own account (`access`) needs no role, only a session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar


class Role(StrEnum):
    """What a person is in a tenant; a platform admin is it in the whole installation."""

    PLATFORM_ADMIN = "platform_admin"
    TENANT_ADMIN = "tenant_admin"
    FINANCE_VIEWER = "finance_viewer"
    AUDITOR = "auditor"
    DEVELOPER = "developer"

    @property
    def label(self) -> str:
        """Such as "Tenant admin"."""
        return self.value.replace("_", " ").capitalize()


class Permission(StrEnum):
    """What may be done inside a tenant. `…_OWN` concerns only the keys that the person owns, and their usage."""

    SPEND_VIEW = "spend.view"
    SPEND_VIEW_OWN = "spend.view_own"
    SPEND_VIEW_ALL = "spend.view_all"  # of all tenants side by side
    SPEND_EXPORT = "spend.export"  # files, statements, reports by mail
    SPEND_IMPORT = "spend.import"  # usage that did not pass the gateway, and providers' invoices
    MONTHS_CLOSE = "months.close"  # seal a month, for ever
    COST_CENTRES_CHANGE = "cost_centres.change"
    ANOMALIES_SETTLE = "anomalies.settle"  # dismiss them, say whether they were any
    KEYS_VIEW = "keys.view"
    KEYS_VIEW_OWN = "keys.view_own"
    KEYS_ISSUE = "keys.issue"  # and rotate: whoever does it sees a key
    KEYS_CHANGE = "keys.change"  # what a key may do, whose it is, until when it works
    KEYS_REVOKE = "keys.revoke"  # and disable, and enable again
    PROJECTS_VIEW = "projects.view"
    PROJECTS_CHANGE = "projects.change"
    PROJECTS_SUSPEND = "projects.suspend"  # and resume, archive, bring back: whether its keys work
    BUDGETS_VIEW = "budgets.view"
    BUDGETS_CHANGE = "budgets.change"
    PRICES_VIEW = "prices.view"
    PRICES_CHANGE = "prices.change"
    OVERRIDES_VIEW = "overrides.view"
    OVERRIDES_CHANGE = "overrides.change"  # what a tenant is charged instead of list prices
    SELECTION_CHANGE = "selection.change"  # which models a tenant's tiers stand for
    ALERTS_VIEW = "alerts.view"
    ALERTS_CHANGE = "alerts.change"
    PUBLISHING_VIEW = "publishing.view"
    PUBLISHING_RETRY = "publishing.retry"
    PUBLISHING_REPAIR = "publishing.repair"  # changed objects of any tenant that could not be rendered
    MEMBERS_VIEW = "members.view"
    MEMBERS_CHANGE = "members.change"
    TOKENS_MANAGE = "tokens.manage"
    AUDIT_VIEW = "audit.view"
    AUDIT_EXPORT = "audit.export"
    SETTINGS_CHANGE = "settings.change"
    TENANTS_CREATE = "tenants.create"
    TENANTS_CHANGE = "tenants.change"  # any tenant: settings and quotas, suspend, archive


_P = Permission

POLICY: dict[Role, frozenset[Permission]] = {
    # looks after the installation; a tenant's keys are not its business
    Role.PLATFORM_ADMIN: frozenset(
        {
            _P.SPEND_VIEW,
            _P.SPEND_VIEW_ALL,
            _P.SPEND_EXPORT,
            _P.SPEND_IMPORT,
            _P.MONTHS_CLOSE,
            _P.COST_CENTRES_CHANGE,
            _P.ANOMALIES_SETTLE,
            _P.PROJECTS_VIEW,
            _P.BUDGETS_VIEW,
            _P.PRICES_VIEW,
            _P.PRICES_CHANGE,
            _P.OVERRIDES_VIEW,
            _P.OVERRIDES_CHANGE,
            _P.ALERTS_VIEW,
            _P.PUBLISHING_VIEW,
            _P.PUBLISHING_RETRY,
            _P.PUBLISHING_REPAIR,
            _P.MEMBERS_VIEW,
            _P.MEMBERS_CHANGE,
            _P.AUDIT_VIEW,
            _P.AUDIT_EXPORT,
            _P.SETTINGS_CHANGE,
            _P.TENANTS_CREATE,
            _P.TENANTS_CHANGE,
        }
    ),
    Role.TENANT_ADMIN: frozenset(
        {
            _P.SPEND_VIEW,
            _P.SPEND_EXPORT,
            _P.SPEND_IMPORT,
            _P.MONTHS_CLOSE,
            _P.COST_CENTRES_CHANGE,
            _P.ANOMALIES_SETTLE,
            _P.KEYS_VIEW,
            _P.KEYS_ISSUE,
            _P.KEYS_CHANGE,
            _P.KEYS_REVOKE,
            _P.PROJECTS_VIEW,
            _P.PROJECTS_CHANGE,
            _P.PROJECTS_SUSPEND,
            _P.BUDGETS_VIEW,
            _P.BUDGETS_CHANGE,
            _P.PRICES_VIEW,
            _P.OVERRIDES_VIEW,
            _P.SELECTION_CHANGE,
            _P.ALERTS_VIEW,
            _P.ALERTS_CHANGE,
            _P.PUBLISHING_VIEW,
            _P.PUBLISHING_RETRY,
            _P.MEMBERS_VIEW,
            _P.MEMBERS_CHANGE,
            _P.TOKENS_MANAGE,
            _P.AUDIT_VIEW,
            _P.AUDIT_EXPORT,
            _P.SETTINGS_CHANGE,
        }
    ),
    Role.FINANCE_VIEWER: frozenset(
        {
            _P.SPEND_VIEW,
            _P.SPEND_EXPORT,
            _P.ANOMALIES_SETTLE,
            _P.PROJECTS_VIEW,
            _P.BUDGETS_VIEW,
            _P.PRICES_VIEW,
            _P.OVERRIDES_VIEW,
            _P.ALERTS_VIEW,
        }
    ),
    Role.AUDITOR: frozenset({_P.AUDIT_VIEW, _P.AUDIT_EXPORT, _P.MEMBERS_VIEW}),
    Role.DEVELOPER: frozenset({_P.SPEND_VIEW_OWN, _P.KEYS_VIEW_OWN, _P.PRICES_VIEW}),
}


PLATFORM_WIDE = frozenset(
    {_P.TENANTS_CREATE, _P.TENANTS_CHANGE, _P.SPEND_VIEW_ALL}
)  # they concern no tenant that must be chosen first


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """What somebody with these roles may do. A role that does not exist (any more) allows nothing."""
    held = set(roles)
    return frozenset[Permission]().union(*(allowed for role, allowed in POLICY.items() if role.value in held))


def roles_with(permissions: Iterable[Permission]) -> list[Role]:
    """The roles that have at least one of these permissions, in the table's order."""
    wanted = frozenset(permissions)
    return [role for role, allowed in POLICY.items() if allowed & wanted]


class Needs(NamedTuple):
    """What a view asks for: any one of these to read, and to write. Empty: a session is enough."""

    to_read: frozenset[Permission]
    to_write: frozenset[Permission]

    def missing(self, method: str | None, allowed: frozenset[Permission]) -> frozenset[Permission]:
        """The permissions of which one is lacking for a request with this method; empty when it may pass."""
        wanted = self.to_read if method in ("GET", "HEAD", "OPTIONS") else self.to_write
        return wanted if wanted and not wanted & allowed else frozenset()


_MARK = "needs"

View = TypeVar("View", bound=Callable[..., Any])


def needs(*permissions: Permission, to_write: Permission | None = None) -> Callable[[View], View]:
    """Mark what a view (or an operation of the API) needs: any one of these, and `to_write` for other than reading."""
    if not permissions:
        raise ValueError("Say which permission the view needs, or mark it @signed_in.")
    write = frozenset({to_write}) if to_write else frozenset(permissions)
    return _marked(Needs(frozenset(permissions), write))


def signed_in(view: View) -> View:
    """Mark a view that needs a session, and no role."""
    return _marked(Needs(frozenset(), frozenset()))(view)


def needs_of(view: Callable[..., Any]) -> Needs | None:
    """What a view was marked with; None for one that says nothing."""
    found = getattr(view, _MARK, None)
    return found if isinstance(found, Needs) else None


def _marked(wanted: Needs) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _MARK, wanted)  # decorators outside this one take it over with functools.wraps
        return view

    return mark
