"""What the commands about stores share: `--env` and `--store`."""

from __future__ import annotations

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from wire.kv.stores import Store


def add_store_arguments(parser: CommandParser, *, env_required: bool) -> None:
    """`--env` and `--store`."""
    known = settings.SPENDOPS.environments
    parser.add_argument("--env", choices=known, required=env_required, help="the environment")
    parser.add_argument("--store", default="", help="one of its stores, by the id that the ledger shows")


def chosen_stores(*, env: str | None, store: str) -> list[Store]:
    """The stores that the arguments name, all when they name none. Raises CommandError."""
    named = settings.SPENDOPS.stores
    found = [each for each_env in ([env] if env else named) for each in named[each_env]]
    if not store:
        return found
    chosen = [each for each in found if each.id == store]
    if not chosen:
        known = ", ".join(dict.fromkeys(each.id for each in found))
        raise CommandError(f"There is no store {store!r}{f' in {env}' if env else ''}: choose one of {known}.")
    return chosen
