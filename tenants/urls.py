"""Addresses of keys, projects and a tenant's settings."""

from __future__ import annotations

from django.urls import URLPattern, path

from tenants.views import keys, projects, tenants

app_name = "tenants"
urlpatterns: list[URLPattern] = [
    path("keys", keys.index, name="keys"),
    path("keys/issue", keys.issue, name="key_issue"),
    path("keys/<str:key_id>", keys.detail, name="key"),
    path("keys/<str:key_id>/disable", keys.disable, name="key_disable"),
    path("keys/<str:key_id>/enable", keys.enable, name="key_enable"),
    path("keys/<str:key_id>/rotate", keys.rotate, name="key_rotate"),
    path("keys/<str:key_id>/revoke", keys.revoke, name="key_revoke"),
    path("projects", projects.index, name="projects"),
    path("projects/<str:project_id>/rename", projects.rename, name="project_rename"),
    path("settings", tenants.edit, name="settings"),
    path("tenants/<str:tenant_id>/switch", tenants.switch, name="switch"),
]
