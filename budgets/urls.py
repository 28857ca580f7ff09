"""Addresses of budgets."""

from __future__ import annotations

from django.urls import URLPattern, path

from budgets import views

app_name = "budgets"
urlpatterns: list[URLPattern] = [
    path("budgets", views.index, name="list"),
    path("budgets/new", views.new, name="new"),
    path("budgets/panel", views.panel, name="panel"),
    path("budgets/price-impact/<int:sync_id>", views.sync_impact, name="price_impact"),
    path("budgets/<str:budget_id>", views.detail, name="budget"),
    path("budgets/<str:budget_id>/figures", views.figures, name="figures"),
    path("budgets/<str:budget_id>/edit", views.edit, name="edit"),
    path("budgets/<str:budget_id>/archive", views.archive, name="archive"),
]
