"""Addresses of keys, projects and a tenant's settings."""

from __future__ import annotations

from django.urls import URLPattern, path

from tenants.views import audit, joining, keys, members, projects, tenants, tokens

app_name = "tenants"
urlpatterns: list[URLPattern] = [
    path("audit", audit.index, name="audit"),
    path("audit/export", audit.export, name="audit_export"),
    path("audit/<int:event_id>", audit.detail, name="audit_event"),
    path("keys", keys.index, name="keys"),
    path("keys/issue", keys.issue, name="key_issue"),
    path("keys/<str:key_id>", keys.detail, name="key"),
    path("keys/<str:key_id>/disable", keys.disable, name="key_disable"),
    path("keys/<str:key_id>/enable", keys.enable, name="key_enable"),
    path("keys/<str:key_id>/rotate", keys.rotate, name="key_rotate"),
    path("keys/<str:key_id>/revoke", keys.revoke, name="key_revoke"),
    path("projects", projects.index, name="projects"),
    path("projects/<str:project_id>/rename", projects.rename, name="project_rename"),
    path("tokens", tokens.index, name="tokens"),
    path("tokens/issue", tokens.issue, name="token_issue"),
    path("tokens/<str:token_id>/revoke", tokens.revoke, name="token_revoke"),
    path("members", members.index, name="members"),
    path("members/letters", members.letters, name="letters"),
    path("members/<str:user_id>/role", members.role, name="member_role"),
    path("members/<str:user_id>/remove", members.remove, name="member_remove"),
    path("members/<str:user_id>/link", members.link, name="member_link"),
    path("invitations/<str:invitation_id>/revoke", members.revoke, name="invitation_revoke"),
    path("join", joining.join, name="join"),
    path("join/look", joining.look, name="join_look"),
    path("join/begin", joining.join_begin, name="join_begin"),
    path("join/finish", joining.join_finish, name="join_finish"),
    path("join/accept", joining.join_accept, name="join_accept"),
    path("settings", tenants.edit, name="settings"),
    path("tenants/<str:tenant_id>/switch", tenants.switch, name="switch"),
]
