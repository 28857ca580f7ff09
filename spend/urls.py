"""Addresses of the spend pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from spend.views import denials, key_use, overview, requests, unpriced

app_name = "spend"
urlpatterns: list[URLPattern] = [
    path("spend", overview.page, name="overview"),
    path("spend/data", overview.data, name="overview_data"),
    path("requests", requests.page, name="requests"),
    path("requests/rows", requests.rows, name="requests_rows"),
    path("requests/<uuid:event_id>", requests.one, name="request"),
    path("denials", denials.page, name="denials"),
    path("denials/rows", denials.rows, name="denials_rows"),
    path("spend/keys/<str:key_id>/use", key_use.fragment, name="key_use"),
    path("unpriced", unpriced.page, name="unpriced"),
]
