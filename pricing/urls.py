"""Addresses of the pricing pages."""

from __future__ import annotations

from django.urls import path

from pricing import views

app_name = "pricing"

urlpatterns = [
    path("pricing", views.catalogue, name="catalogue"),
    path("pricing/report", views.report, name="report"),
    path("pricing/<str:provider>/<path:model>", views.model, name="model"),
]
