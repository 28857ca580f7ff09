"""Addresses of the spend pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from spend.views import denials, key_use, model_use, overview, requests, reratings, unpriced, what_if

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
    path("spend/model-users/<str:provider>/<path:model>", model_use.users, name="model_users"),
    path("spend/own-mix", model_use.mix, name="own_mix"),
    path("spend/override-preview", what_if.override_preview, name="override_preview"),
    path("unpriced", unpriced.page, name="unpriced"),
    path("reratings", reratings.page, name="reratings"),
    path("reratings/new", reratings.new, name="rerating_new"),
    path("reratings/<str:rerating_id>", reratings.one, name="rerating"),
    path("reratings/<str:rerating_id>/apply", reratings.apply, name="rerating_apply"),
    path("reratings/<str:rerating_id>/stop", reratings.stop, name="rerating_stop"),
    path("reratings/<str:rerating_id>/resume", reratings.resume, name="rerating_resume"),
]
