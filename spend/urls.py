"""Addresses of the spend pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from spend.views import anomalies as anomaly_pages
from spend.views import (
    cost_centres,
    denials,
    explore,
    exports,
    imports,
    key_use,
    overview,
    requests,
    reratings,
    statements,
    unpriced,
    what_if,
)

app_name = "spend"
urlpatterns: list[URLPattern] = [
    path("spend", overview.page, name="overview"),
    path("spend/data", overview.data, name="overview_data"),
    path("explore", explore.page, name="explore"),
    path("explore/data", explore.data, name="explore_data"),
    path("explore/ratios", explore.ratios, name="explore_ratios"),
    path("explore/values", explore.values, name="explore_values"),
    path("requests", requests.page, name="requests"),
    path("requests/rows", requests.rows, name="requests_rows"),
    path("requests/<uuid:event_id>", requests.one, name="request"),
    path("denials", denials.page, name="denials"),
    path("denials/rows", denials.rows, name="denials_rows"),
    path("exports", exports.page, name="exports"),
    path("exports/new", exports.new, name="export_new"),
    path("exports/<str:export_id>/file", exports.file, name="export_file"),
    path("exports/<str:export_id>/manifest", exports.manifest, name="export_manifest"),
    path("exports/<str:export_id>/cancel", exports.cancel, name="export_cancel"),
    path("exports/<str:export_id>/delete", exports.delete, name="export_delete"),
    path("imports", imports.page, name="imports"),
    path("imports/new", imports.new, name="import_new"),
    path("imports/<str:import_id>", imports.one, name="import"),
    path("imports/<str:import_id>/refused.csv", imports.errors, name="import_errors"),
    path("imports/<str:import_id>/confirm", imports.confirm, name="import_confirm"),
    path("imports/<str:import_id>/discard", imports.discard, name="import_discard"),
    path("imports/<str:import_id>/withdraw", imports.withdraw, name="import_withdraw"),
    path("spend/keys/<str:key_id>/use", key_use.fragment, name="key_use"),
    path("spend/override-preview", what_if.override_preview, name="override_preview"),
    path("spend/price-impact/<int:sync_id>", what_if.price_impact, name="price_impact"),
    path("anomalies", anomaly_pages.page, name="anomalies"),
    path("anomalies/<str:anomaly_id>", anomaly_pages.one, name="anomaly"),
    path("anomalies/<str:anomaly_id>/settle", anomaly_pages.settle, name="anomaly_settle"),
    path("statements", statements.page, name="statements"),
    path("statements/<str:month>", statements.one, name="statement"),
    path("statements/<str:month>/statement.<str:kind>", statements.file, name="statement_file"),
    path("statements/<str:month>/seal", statements.seal, name="statement_seal"),
    path("cost-centres", cost_centres.page, name="cost_centres"),
    path("cost-centres/edit", cost_centres.edit, name="cost_centres_edit"),
    path("cost-centres/save", cost_centres.save, name="cost_centres_save"),
    path("unpriced", unpriced.page, name="unpriced"),
    path("reratings", reratings.page, name="reratings"),
    path("reratings/new", reratings.new, name="rerating_new"),
    path("reratings/<str:rerating_id>", reratings.one, name="rerating"),
    path("reratings/<str:rerating_id>/apply", reratings.apply, name="rerating_apply"),
    path("reratings/<str:rerating_id>/stop", reratings.stop, name="rerating_stop"),
    path("reratings/<str:rerating_id>/resume", reratings.resume, name="rerating_resume"),
]
