"""`manage.py set_budget`: create a tenant's budget, or change the one of that name."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from budgets.actions import Settings, set_budget
from budgets.models import Budget
from changes.actor import Actor
from tenants.errors import RefusedError
from tenants.models import Tenant


class Command(BaseCommand):
    help = "Create a tenant's monthly budget, or change the one of that name."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's id")
        parser.add_argument("--name", required=True, help="the budget's name: callers read it when they are refused")
        parser.add_argument("--amount", required=True, help="a month, like 250 or 0.0001")
        parser.add_argument(
            "--currency", help="USD unless said; another one is converted by the ECB's rate of the month's first day"
        )
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--hard", action="store_const", const=Budget.Enforcement.HARD, dest="enforcement")
        kind.add_argument("--soft", action="store_const", const=Budget.Enforcement.SOFT, dest="enforcement")
        parser.add_argument("--thresholds", help="percent used at which people are told (50,80,100)")
        parser.add_argument("--envs", help="environments that count, separated by commas; empty for all of them")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(id=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        wanted = Settings(
            name=options["name"],
            amount=options["amount"],
            currency=options["currency"],
            enforcement=options["enforcement"],
            thresholds=_words(options["thresholds"]),
            envs=_words(options["envs"]),
        )
        try:
            done = set_budget(tenant=tenant, wanted=wanted, by=Actor.system("set_budget"))
        except RefusedError as error:
            raise CommandError(error.message) from error
        budget = done.budget
        if options["json"]:
            said = {
                "id": budget.id,
                "name": budget.name,
                "amount_micro": budget.amount_micro,
                "currency": budget.currency,
                "enforcement": budget.enforcement,
                "thresholds": budget.thresholds,
                "envs": budget.envs,
                "created": done.created,
                "raised": done.raised,
                "lifted": done.lifted,
            }
            self.stdout.write(json.dumps(said))
            return
        verb = "created" if done.created else "raised" if done.raised else "set"
        self.stdout.write(f"{budget.id} {verb}: “{budget.name}”, {budget.amount} a month, {budget.enforcement}.")


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]
