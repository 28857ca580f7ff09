"""Addresses of the KV ledger."""

from __future__ import annotations

from django.urls import URLPattern, path

from publishing import views

app_name = "publishing"
urlpatterns: list[URLPattern] = [
    path("publishing", views.ledger, name="ledger"),
    path("publishing/entries/<int:entry_id>/retry", views.retry_entry, name="retry_entry"),
    path("publishing/objects/<int:row_id>/retry", views.retry_object, name="retry_object"),
]
