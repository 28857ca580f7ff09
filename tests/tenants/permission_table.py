"""What everybody gets at every address: the expectation that `test_permissions.py` walks the product with.

It is written by hand and not made of the product's own policy, so that a slip there shows here.
"""

from __future__ import annotations

from typing import NamedTuple

P, T, F, A, D = "platform_admin", "tenant_admin", "finance_viewer", "auditor", "developer"
ALL = frozenset({P, T, F, A, D})


class Expected(NamedTuple):
    """Who may, what they are answered, and what an admin of another tenant is (None: the same, about their own)."""

    who: frozenset[str]
    status: int
    stranger: int | None = None


def by(*who: str) -> frozenset[str]:
    return frozenset(who)


SPEND = by(P, T, F, D)
BUDGETS = by(P, T, F)

# (method, URL name) -> who, with which answer. The order is the walk's: what ends an object comes after what needs it.
PAGES: dict[tuple[str, str], Expected] = {
    ("GET", "home"): Expected(ALL, 302),
    ("GET", "spend:overview"): Expected(SPEND, 200),
    ("GET", "spend:overview_data"): Expected(SPEND, 200),
    ("GET", "spend:requests"): Expected(SPEND, 200),
    ("GET", "spend:requests_rows"): Expected(SPEND, 200),
    ("GET", "spend:request"): Expected(SPEND, 200, 404),
    ("GET", "spend:denials"): Expected(SPEND, 200),
    ("GET", "spend:denials_rows"): Expected(SPEND, 200),
    ("GET", "spend:unpriced"): Expected(SPEND, 200),
    ("GET", "spend:key_use"): Expected(SPEND, 200, 404),
    ("GET", "pricing:catalogue"): Expected(by(P, T, F, D), 200),
    ("GET", "pricing:report"): Expected(by(P, T, F, D), 200),
    ("GET", "pricing:model"): Expected(by(P, T, F, D), 404),
    ("GET", "budgets:list"): Expected(BUDGETS, 200),
    ("GET", "budgets:panel"): Expected(BUDGETS, 200),
    ("GET", "budgets:new"): Expected(by(T), 200),
    ("POST", "budgets:new"): Expected(by(T), 422),
    ("GET", "budgets:budget"): Expected(BUDGETS, 200, 404),
    ("GET", "budgets:figures"): Expected(BUDGETS, 200, 404),
    ("GET", "budgets:edit"): Expected(by(T), 200, 404),
    ("POST", "budgets:edit"): Expected(by(T), 422, 404),
    ("POST", "budgets:archive"): Expected(by(T), 302, 404),
    ("GET", "alerts:outbox"): Expected(BUDGETS, 200),
    ("GET", "alerts:outbox_rows"): Expected(BUDGETS, 200),
    ("GET", "alerts:delivery"): Expected(BUDGETS, 200, 404),
    ("GET", "alerts:mail_html"): Expected(BUDGETS, 200, 404),
    ("GET", "alerts:channels"): Expected(BUDGETS, 200),
    ("POST", "alerts:retry"): Expected(by(T), 302, 404),
    ("GET", "alerts:channel_new"): Expected(by(T), 200),
    ("POST", "alerts:channel_new"): Expected(by(T), 422),
    ("POST", "alerts:channel_test"): Expected(by(T), 302, 404),
    ("POST", "alerts:channel_remove"): Expected(by(T), 302, 404),
    ("GET", "publishing:ledger"): Expected(by(P, T), 200),
    ("GET", "publishing:gateways"): Expected(by(P, T), 200),
    ("GET", "publishing:writes"): Expected(by(P, T), 200),
    ("GET", "publishing:trouble"): Expected(by(P, T), 200),
    ("GET", "publishing:looks"): Expected(by(P, T), 200),
    ("GET", "publishing:document"): Expected(by(P, T), 200, 404),
    ("GET", "publishing:document_stores"): Expected(by(P, T), 200, 404),
    ("GET", "publishing:key_view"): Expected(by(T, D), 200, 404),
    ("GET", "publishing:tenant_view"): Expected(by(P, T), 200, 404),
    ("POST", "publishing:compare"): Expected(by(P), 404, 403),
    ("POST", "publishing:confirm_repair"): Expected(by(P), 302, 403),
    ("POST", "publishing:confirm_entry"): Expected(by(P), 302, 403),
    ("POST", "publishing:republish"): Expected(by(P), 302, 403),
    ("POST", "publishing:republish_stop"): Expected(by(P), 302, 403),
    ("POST", "publishing:retry_entry"): Expected(by(P, T), 302, 404),
    ("POST", "publishing:retry_object"): Expected(by(P), 302, 403),
    ("POST", "publishing:retry_parked"): Expected(by(P, T), 302),
    ("GET", "tenants:keys"): Expected(by(T, D), 200),
    ("GET", "tenants:key"): Expected(by(T, D), 200, 404),
    ("GET", "tenants:key_issue"): Expected(by(T), 200),
    ("POST", "tenants:key_issue"): Expected(by(T), 200),
    ("GET", "tenants:key_batch_confirm"): Expected(by(T), 302),
    ("POST", "tenants:key_batch_confirm"): Expected(by(T), 302),
    ("GET", "tenants:key_batch"): Expected(by(T), 200, 404),
    ("GET", "tenants:key_edit"): Expected(by(T), 200, 404),
    ("POST", "tenants:key_edit"): Expected(by(T), 422, 404),
    ("GET", "tenants:key_disable"): Expected(by(T), 302, 404),
    ("POST", "tenants:key_disable"): Expected(by(T), 302, 404),
    ("GET", "tenants:key_enable"): Expected(by(T), 302, 404),
    ("POST", "tenants:key_enable"): Expected(by(T), 302, 404),
    ("GET", "tenants:key_rotate"): Expected(by(T), 302, 404),
    ("POST", "tenants:key_rotate"): Expected(by(T), 200, 404),
    ("GET", "tenants:key_revoke"): Expected(by(T), 200, 404),
    ("POST", "tenants:key_revoke"): Expected(by(T), 200, 404),
    ("GET", "tenants:key_take_over"): Expected(by(T), 200),
    ("POST", "tenants:key_take_over"): Expected(by(T), 422),
    ("GET", "tenants:key_leaks"): Expected(by(T), 200),
    ("POST", "tenants:key_leaks"): Expected(by(T), 422),
    ("POST", "tenants:key_leaks_revoke"): Expected(by(T), 302),
    ("GET", "tenants:projects"): Expected(by(P, T, F), 200),
    ("GET", "tenants:project_new"): Expected(by(T), 200),
    ("POST", "tenants:project_new"): Expected(by(T), 422),
    ("GET", "tenants:project"): Expected(by(P, T, F), 200, 404),
    ("GET", "tenants:project_edit"): Expected(by(T), 200, 404),
    ("POST", "tenants:project_edit"): Expected(by(T), 422, 404),
    ("POST", "tenants:project_suspend"): Expected(by(T), 422, 404),
    ("POST", "tenants:project_resume"): Expected(by(T), 302, 404),
    ("POST", "tenants:project_archive"): Expected(by(T), 422, 404),
    ("POST", "tenants:project_bring_back"): Expected(by(T), 302, 404),
    ("GET", "tenants:tokens"): Expected(by(T), 200),
    ("GET", "tenants:token_issue"): Expected(by(T), 200),
    ("POST", "tenants:token_issue"): Expected(by(T), 200),
    ("POST", "tenants:token_revoke"): Expected(by(T), 302, 404),
    ("GET", "tenants:members"): Expected(by(P, T, A), 200),
    ("POST", "tenants:members"): Expected(by(P, T), 200),
    ("GET", "tenants:letters"): Expected(by(P, T, A), 200),
    ("POST", "tenants:invitation_revoke"): Expected(by(P, T), 302, 404),
    ("POST", "tenants:member_role"): Expected(by(P, T), 302, 404),
    ("POST", "tenants:member_link"): Expected(by(P, T), 200, 404),
    ("POST", "tenants:member_remove"): Expected(by(P, T), 302, 404),
    ("GET", "tenants:audit"): Expected(by(P, T, A), 200),
    ("GET", "tenants:audit_event"): Expected(by(P, T, A), 200, 404),
    ("POST", "tenants:audit_export"): Expected(by(P, T, A), 400),
    ("GET", "tenants:settings"): Expected(by(P, T), 200),
    ("POST", "tenants:settings"): Expected(by(P, T), 200),
    ("GET", "tenants:tenants"): Expected(by(P), 200),
    ("GET", "tenants:tenant_new"): Expected(by(P), 200),
    ("POST", "tenants:tenant_new"): Expected(by(P), 422),
    ("GET", "tenants:tenant"): Expected(by(P), 200),
    ("GET", "tenants:tenant_edit"): Expected(by(P), 200),
    ("POST", "tenants:tenant_edit"): Expected(by(P), 422),
    ("POST", "tenants:tenant_suspend"): Expected(by(P), 422),
    ("POST", "tenants:tenant_resume"): Expected(by(P), 302),
    ("POST", "tenants:tenant_archive"): Expected(by(P), 422),
    ("POST", "tenants:tenant_bring_back"): Expected(by(P), 302),
    ("POST", "tenants:switch"): Expected(ALL, 302, 404),
}

# One's own account: whoever is signed in, whatever the role, and only ever about themselves.
OWN_ACCOUNT = {
    "access:sign_out",
    "access:step_up_begin",
    "access:step_up_finish",
    "access:passkeys",
    "access:add_begin",
    "access:add_finish",
    "access:rename",
    "access:remove",
    "access:disable",
    "access:enable",
    "access:recovery_codes",
    "access:sessions",
    "access:end_others",
    "access:end_session",
}

# (method, address below /api/v1) -> who may; the others are answered 403.
OPERATIONS: dict[tuple[str, str], frozenset[str]] = {
    ("GET", "/users/me"): ALL,
    ("GET", "/users"): by(P, T, A),
    ("GET", "/sessions"): ALL,
    ("DELETE", "/sessions/{session_id}"): ALL,
    ("GET", "/tokens"): by(T),
    ("POST", "/tokens"): by(T),
    ("DELETE", "/tokens/{token_id}"): by(T),
    ("GET", "/audit"): by(P, T, A),
    ("GET", "/tenants"): by(P),
    ("POST", "/tenants"): by(P),
    ("GET", "/tenants/{tenant_id}"): by(P, T),
    ("PATCH", "/tenants/{tenant_id}"): by(P, T),
    ("POST", "/tenants/{tenant_id}/suspend"): by(P),
    ("POST", "/tenants/{tenant_id}/resume"): by(P),
    ("POST", "/tenants/{tenant_id}/archive"): by(P),
    ("POST", "/tenants/{tenant_id}/bring-back"): by(P),
    ("GET", "/projects"): by(P, T, F),
    ("POST", "/projects"): by(T),
    ("GET", "/projects/{project_id}"): by(P, T, F),
    ("PATCH", "/projects/{project_id}"): by(T),
    ("POST", "/projects/{project_id}/suspend"): by(T),
    ("POST", "/projects/{project_id}/resume"): by(T),
    ("POST", "/projects/{project_id}/archive"): by(T),
    ("POST", "/projects/{project_id}/bring-back"): by(T),
    ("POST", "/keys/take-over"): by(T),
    ("POST", "/keys/leaks"): by(T),
    ("POST", "/keys/leaks/revoke"): by(T),
    ("GET", "/keys"): by(T),
    ("POST", "/keys"): by(T),
    ("POST", "/keys/revoke"): by(T),
    ("GET", "/keys/{key_id}"): by(T),
    ("PATCH", "/keys/{key_id}"): by(T),
    ("POST", "/keys/{key_id}/rotate"): by(T),
    ("POST", "/keys/{key_id}/disable"): by(T),
    ("POST", "/keys/{key_id}/enable"): by(T),
    ("DELETE", "/keys/{key_id}"): by(T),
}
