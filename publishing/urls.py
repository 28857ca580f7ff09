"""Addresses of the KV ledger."""

from __future__ import annotations

from django.urls import URLPattern, path

from publishing.views import documents, health, looks, trouble, writes

app_name = "publishing"
urlpatterns: list[URLPattern] = [
    path("publishing", health.ledger, name="ledger"),
    path("publishing/gateways", health.gateways, name="gateways"),
    path("publishing/republish/<str:env>", health.republish, name="republish"),
    path("publishing/republish/<str:env>/stop", health.republish_stop, name="republish_stop"),
    path("publishing/writes", writes.index, name="writes"),
    path("publishing/documents/<str:env>/<path:document>", documents.detail, name="document"),
    path("publishing/stores/<str:env>/<path:document>", documents.stores, name="document_stores"),
    path("publishing/keys/<str:key_id>/view", documents.key_view, name="key_view"),
    path("publishing/tenants/<str:tenant_id>/view", documents.tenant_view, name="tenant_view"),
    path("publishing/trouble", trouble.index, name="trouble"),
    path("publishing/entries/retry-parked", trouble.retry_parked, name="retry_parked"),
    path("publishing/entries/<int:entry_id>/retry", trouble.retry_entry, name="retry_entry"),
    path("publishing/entries/<int:entry_id>/confirm", trouble.confirm_entry, name="confirm_entry"),
    path("publishing/objects/<int:row_id>/retry", trouble.retry_object, name="retry_object"),
    path("publishing/comparisons", looks.index, name="looks"),
    path("publishing/comparisons/ask", looks.compare, name="compare"),
    path("publishing/comparisons/<int:reconciliation_id>/confirm", trouble.confirm_repair, name="confirm_repair"),
]
