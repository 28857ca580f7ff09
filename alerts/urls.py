"""Addresses of alerts."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts import views

app_name = "alerts"
urlpatterns: list[URLPattern] = [
    path("alerts/outbox", views.outbox, name="outbox"),
    path("alerts/outbox/rows", views.outbox_rows, name="outbox_rows"),
    path("alerts/outbox/<str:delivery_id>", views.delivery, name="delivery"),
    path("alerts/outbox/<str:delivery_id>/mail.html", views.mail_html, name="mail_html"),
    path("alerts/outbox/<str:delivery_id>/retry", views.retry, name="retry"),
    path("alerts/channels", views.channels, name="channels"),
    path("alerts/channels/new/<str:kind>", views.channel_new, name="channel_new"),
    path("alerts/channels/<str:channel_id>/test", views.channel_test, name="channel_test"),
    path("alerts/channels/<str:channel_id>/remove", views.channel_remove, name="channel_remove"),
]
