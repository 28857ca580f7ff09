"""Every address of the management plane."""

from __future__ import annotations

from django.urls import include, path
from django.views.generic import RedirectView

from spendops.api import api
from spendops.health import health, ready

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="spend:overview"), name="home"),
    path("health", health, name="health"),
    path("ready", ready, name="ready"),
    path("", include("access.urls")),
    path("", include("tenants.urls")),
    path("", include("spend.urls")),
    path("", include("pricing.urls")),
    path("", include("budgets.urls")),
    path("", include("alerts.urls")),
    path("", include("publishing.urls")),
    path("api/v1/", api.urls),
]
