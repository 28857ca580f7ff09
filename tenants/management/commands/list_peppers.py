"""`manage.py list_peppers`: which peppers keys need, and which may be taken away."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from changes.actor import Actor
from tenants.management.base import TenantCommand
from tenants.peppers import PepperStanding, name_of, pepper_standings


class Command(TenantCommand):
    help = "List the versions of the pepper with their living keys. Fails when keys need one that is not given."

    def perform(self, *, by: Actor, **options: Any) -> tuple[list[dict[str, Any]], str]:
        standings = pepper_standings(settings.SPENDOPS.peppers)
        missing = [each for each in standings if each.missing]
        if missing:
            raise CommandError(
                "\n".join([*map(_line, standings), *(f"Give {name_of(each.version)} back." for each in missing)])
            )
        found = [
            {
                "version": each.version,
                "setting": name_of(each.version),
                "given": each.given,
                "newest": each.newest,
                "keys": each.keys,
                "expired": each.expired,
                "taken_over": each.taken_over,
                "last_used_at": each.last_used_at.isoformat() if each.last_used_at else None,
                "may_go": each.may_go,
            }
            for each in standings
        ]
        return found, "\n".join(map(_line, standings))


def _line(each: PepperStanding) -> str:
    used = f"{each.last_used_at:%Y-%m-%d %H:%M} UTC" if each.last_used_at else "never"
    if each.missing:
        verdict = "MISSING: these keys are refused"
    elif each.newest:
        verdict = "new keys are hashed under it"
    elif each.may_go:
        verdict = "may be taken away"
    else:
        verdict = "still needed"
    of_them = ", ".join(
        f"{number:,} {what}" for number, what in ((each.expired, "expired"), (each.taken_over, "taken over")) if number
    )
    keys = f"{each.keys:,} living keys{f' ({of_them})' if of_them else ''}"
    return f"pepper {each.version}: {keys}, last used {used}: {verdict}"
