"""What each role means, in the words of the pages that grant it."""

from __future__ import annotations

from tenants.permissions import Role

TENANT_ROLES = (Role.TENANT_ADMIN, Role.FINANCE_VIEWER, Role.AUDITOR, Role.DEVELOPER)

MEANINGS = {
    Role.TENANT_ADMIN: "issues keys, sets budgets, invites members",
    Role.FINANCE_VIEWER: "sees all spend and budgets",
    Role.AUDITOR: "reads the audit trail",
    Role.DEVELOPER: "sees their own keys and what these use",
}


def role_choices() -> list[tuple[str, str]]:
    """The roles that somebody can have in a tenant, each with what it means."""
    return [(role.value, f"{role.label}: {MEANINGS[role]}") for role in TENANT_ROLES]
