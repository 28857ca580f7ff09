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
    path("projects/new", projects.new, name="project_new"),
    path("projects/<str:project_id>", projects.detail, name="project"),
    path("projects/<str:project_id>/edit", projects.edit, name="project_edit"),
    path("projects/<str:project_id>/suspend", projects.suspend, name="project_suspend"),
    path("projects/<str:project_id>/resume", projects.resume, name="project_resume"),
    path("projects/<str:project_id>/archive", projects.archive, name="project_archive"),
    path("projects/<str:project_id>/bring-back", projects.bring_back, name="project_bring_back"),
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
    path("tenants", tenants.index, name="tenants"),
    path("tenants/new", tenants.new, name="tenant_new"),
    path("tenants/<str:tenant_id>", tenants.detail, name="tenant"),
    path("tenants/<str:tenant_id>/edit", tenants.change, name="tenant_edit"),
    path("tenants/<str:tenant_id>/suspend", tenants.suspend, name="tenant_suspend"),
    path("tenants/<str:tenant_id>/resume", tenants.resume, name="tenant_resume"),
    path("tenants/<str:tenant_id>/archive", tenants.archive, name="tenant_archive"),
    path("tenants/<str:tenant_id>/bring-back", tenants.bring_back, name="tenant_bring_back"),
    path("tenants/<str:tenant_id>/switch", tenants.switch, name="switch"),
]
