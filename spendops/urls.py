"""Every address of the management plane."""

from __future__ import annotations

from django.urls import include, path

from spendops.api import api, state_api
from spendops.health import health, ready
from spendops.home import home

urlpatterns = [
    path("", home, name="home"),
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
    path("api/state/", state_api.urls),
]
