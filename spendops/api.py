"""The one API: OpenAPI at `/api/v1/openapi.json`. Each package adds its router. The state service stands beside it."""

from __future__ import annotations

from pricing.api.overrides import overrides
from pricing.api.prices import prices
from pricing.state.api import state
from spend.across.api import spend_of_tenants
from spend.anomalies.api import anomalies
from spend.api import usage
from spend.api_errors import install as answer_without_usage
from spend.closing.api import statements
from spend.cost_centres.api import cost_centres
from spend.exploring.api import spend
from spend.exploring.usage_api import denials
from spend.exploring.views_api import saved_views
from spend.exports.api import exported
from spend.importing.api import imported
from spend.reconciling.api import invoices
from spend.reports.api import reports
from spend.rerating.api import rerating
from tenants.api.audit import audit
from tenants.api.keys import keys
from tenants.api.leaks import leaks
from tenants.api.people import sessions, users
from tenants.api.projects import projects
from tenants.api.takeover import takeover
from tenants.api.tenants import tenants
from tenants.api.tokens import tokens
from tenants.frame.openapi import FramedAPI

api = FramedAPI(
    title="SpendOps",
    version="1",
    description="Keys, budgets, prices, people and the audit trail of a tenant. See docs/api.md for how to call it.",
    urls_namespace="api",
)
answer_without_usage(api)
api.add_router("/prices", prices)
api.add_router("/users", users)
api.add_router("/sessions", sessions)
api.add_router("/tokens", tokens)
api.add_router("/audit", audit)
api.add_router("/tenants", tenants)
api.add_router("/projects", projects)
api.add_router("/keys/take-over", takeover)  # before the keys, so that neither is taken for a key's id
api.add_router("/keys/leaks", leaks)
api.add_router("/keys", keys)
api.add_router("/overrides", overrides)
api.add_router("/spend/tenants", spend_of_tenants)
api.add_router("/spend", spend)
api.add_router("/usage", usage)
api.add_router("/denials", denials)
api.add_router("/imports", imported)
api.add_router("/invoices", invoices)
api.add_router("/exports", exported)
api.add_router("/views", saved_views)
api.add_router("/statements", statements)
api.add_router("/cost-centres", cost_centres)
api.add_router("/reports", reports)
api.add_router("/anomalies", anomalies)
api.add_router("/reratings", rerating)

state_api = FramedAPI(
    title="SpendOps state service",
    version="1",
    description="Which models there are, and which of them tiers stand for. See docs/api.md for who may call it.",
    urls_namespace="state",
)
state_api.add_router("", state)
