"""Addresses of the pricing pages."""

from __future__ import annotations

from django.urls import path

from pricing.views import catalogue

app_name = "pricing"

urlpatterns = [
    path("pricing", catalogue.catalogue, name="catalogue"),
    path("pricing/report", catalogue.report, name="report"),
    path("pricing/<str:provider>/<path:model>", catalogue.model, name="model"),  # the last: it takes whatever is left
]
