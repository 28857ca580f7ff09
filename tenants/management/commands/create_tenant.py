"""`manage.py create_tenant NAME`: a tenant with its first project."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from changes.actor import Actor
from tenants.actions.tenants import create_tenant
from tenants.management.base import TenantCommand
from tenants.tags import tags_of_text


class Command(TenantCommand):
    help = "Create a tenant with a first project."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the tenant's name, which no other tenant has")
        parser.add_argument("--time-zone", default="UTC", help="an IANA name such as Asia/Kolkata (default: UTC)")
        parser.add_argument("--currency", default="USD", help="the ISO 4217 code of its reports (default: USD)")

        parser.add_argument(
            "--billing-day", type=int, default=1, help="the day its bills begin with, 1 to 28 (default: 1)"
        )
        parser.add_argument("--tag", action="append", default=[], metavar="NAME=VALUE", help="such as region=emea")
        parser.add_argument("--keys-most", type=int, help="how many living keys it may have (default: any number)")
        parser.add_argument("--projects-most", type=int, help="how many projects it may have (default: any number)")

    def perform(self, *, by: Actor, **options: Any) -> tuple[dict[str, Any], str]:
        tenant = create_tenant(
            name=options["name"],
            time_zone=options["time_zone"],
            currency=options["currency"],
            billing_day=options["billing_day"],
            tags=tags_of_text("\n".join(options["tag"])),
            keys_most=options["keys_most"],
            projects_most=options["projects_most"],
            by=by,
        )
        found = {"id": tenant.id, "name": tenant.name, "time_zone": tenant.time_zone, "currency": tenant.currency}
        return found, f"Tenant “{tenant.name}” is created: {tenant.id}"
