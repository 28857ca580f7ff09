"""`manage.py create_tenant NAME`: a tenant with its first project."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from changes.actor import Actor
from tenants.actions.tenants import create_tenant
from tenants.management.base import TenantCommand


class Command(TenantCommand):
    help = "Create a tenant with a first project."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the tenant's name, which no other tenant has")
        parser.add_argument("--time-zone", default="UTC", help="an IANA name such as Asia/Kolkata (default: UTC)")
        parser.add_argument("--currency", default="USD", help="the ISO 4217 code of its reports (default: USD)")

    def perform(self, *, by: Actor, **options: Any) -> tuple[dict[str, Any], str]:
        tenant = create_tenant(
            name=options["name"], time_zone=options["time_zone"], currency=options["currency"], by=by
        )
        found = {"id": tenant.id, "name": tenant.name, "time_zone": tenant.time_zone, "currency": tenant.currency}
        return found, f"Tenant “{tenant.name}” is created: {tenant.id}"
