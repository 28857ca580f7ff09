"""`manage.py bootstrap_admin`: print the one-time link that enrols the first admin's passkey."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from changes.actor import Actor
from tenants import bootstrap
from tenants.errors import RefusedError


class Command(BaseCommand):
    help = "Print a link, valid once and for 30 minutes, that enrols the first admin's passkey."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", nargs="?", default="", help=f"the admin's address ({bootstrap.DEFAULT_EMAIL})")
        parser.add_argument("--name", default=bootstrap.DEFAULT_NAME, help="the admin's name")
        parser.add_argument("--tenant", default=bootstrap.DEFAULT_TENANT, help="the first tenant's name")
        parser.add_argument("--recover", metavar="EMAIL", help="a new link for a platform admin who lost every passkey")
        parser.add_argument("--if-needed", action="store_true", help="print nothing when an admin has a passkey")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        by = Actor.system("bootstrap_admin")
        if options["if_needed"] and not options["recover"] and bootstrap.has_admin():
            return
        try:
            if options["recover"]:
                link = bootstrap.recover_admin(email=options["recover"], by=by)
            else:
                if options["email"]:
                    validate_email(options["email"])
                link = bootstrap.bootstrap_admin(
                    email=options["email"],
                    name=options["name"],
                    tenant_name=options["tenant"],
                    time_zone=bootstrap.machine_time_zone(),
                    by=by,
                )
        except ValidationError as error:
            raise CommandError(f"{options['email']!r} is not an e-mail address.") from error
        except (bootstrap.BootstrapRefusedError, RefusedError) as error:
            raise CommandError(str(error)) from error
        url = f"{settings.PUBLIC_URL}/enrol#{link.token}"
        if options["json"]:
            self.stdout.write(json.dumps({"url": url, "expires_at": link.expires_at.isoformat()}))
        else:
            self.stdout.write(f"Open this link once, until {link.expires_at:%H:%M} UTC:\n{url}")
