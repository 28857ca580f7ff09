"""The one API: OpenAPI at `/api/v1/openapi.json`. Each package adds its router."""

from __future__ import annotations

from ninja import NinjaAPI

api = NinjaAPI(title="SpendOps", version="1", docs_url=None, urls_namespace="api")
