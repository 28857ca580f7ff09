"""What `manage.py check --database default` and `manage.py migrate` warn of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.db import DatabaseError

from tenants.peppers import name_of, pepper_standings


def peppers_are_given(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Living keys whose pepper was taken away are unknown to every gateway."""
    if "default" not in (databases or ()):
        return []
    try:
        standings = pepper_standings(settings.SPENDOPS.peppers)
    except DatabaseError:  # before the first migration there are no keys
        return []
    return [
        Warning(
            f"{each.keys:,} living keys are hashed under pepper {each.version}, which is not given: "
            "gateways without it refuse them as unknown.",
            hint=f"Give {name_of(each.version)} back to the web plane and to all gateways, or revoke these keys "
            "(manage.py list_peppers counts them).",
            id="tenants.W001",
        )
        for each in standings
        if each.missing
    ]
