"""Addresses of signing in, enrolling and one's own passkeys and sessions."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "access"
urlpatterns: list[URLPattern] = []
