"""What commands about one API key share: how it is named, and the options that say what it may do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from access.models import User
from tenants.models import ApiKey, Tenant
from tenants.policy import TIERS
from tenants.queries import users_in
from tenants.tags import tags_of_text

# option -> (field of KeySettings, what its value is called, help)
_LISTS = {
    "--allow": ("allowed_models", "MODEL", "only these models (gpt-4o*)"),
    "--deny": ("denied_models", "MODEL", "not these models"),
    "--allow-provider": ("allowed_providers", "PROVIDER", "only these providers (azure*)"),
    "--deny-provider": ("denied_providers", "PROVIDER", "not these providers"),
    "--network": ("networks", "NETWORK", "calls may come from these only (192.0.2.0/24)"),
    "--tag": ("tags", "NAME=VALUE", "put on each call of the key"),
}
_NUMBERS = {
    "--rpm": "requests a minute; 0: no limit",
    "--tpm": "tokens a minute; 0: no limit",
    "--concurrency": "calls at the same time; 0: no limit",
}


def add_policy_options(parser: CommandParser) -> None:
    """The options that say what a key may do."""
    parser.add_argument("--owner", metavar="EMAIL", help="the member whose key it is")
    parser.add_argument("--not-before", help="from when it works, such as 2027-01-01T00:00+01:00 (default: at once)")
    parser.add_argument("--expires-at", help="until when it works, such as 2027-06-30T18:00+02:00 (default: for ever)")
    parser.add_argument("--tier", choices=TIERS, help="which models a call gets that leaves the choice to the gateway")
    for option, (field, metavar, help_text) in _LISTS.items():
        parser.add_argument(option, action="append", dest=field, metavar=metavar, help=help_text)
    for option, help_text in _NUMBERS.items():
        parser.add_argument(option, type=int, help=help_text)


def given_policy(tenant: Tenant, options: dict[str, Any]) -> dict[str, Any]:
    """The fields of KeySettings that were given, and no others. Raises CommandError."""
    found: dict[str, Any] = {
        name: options[name] for name in ("tier", "rpm", "tpm", "concurrency") if options[name] is not None
    }
    for option, (field, metavar, _) in _LISTS.items():
        if options[field] is not None:
            given = _named(option, metavar, options[field])
            found[field] = tags_of_text("\n".join(given)) if field == "tags" else given
    for name in ("not_before", "expires_at"):
        if options[name]:
            found[name] = _moment(options[name])
    if options["owner"]:
        found["owner"] = _member(tenant, options["owner"]).pk
    return found


def key_named(key_id: str) -> ApiKey:
    """The key with this id. Raises CommandError."""
    key = ApiKey.objects.select_related("tenant", "project").filter(pk=key_id).first()
    if key is None:
        raise CommandError(f"There is no key with the id {key_id!r}: list_keys shows the ids.")
    return key


def _member(tenant: Tenant, email: str) -> User:
    found = next((each for each in users_in(tenant) if each.email.lower() == email.strip().lower()), None)
    if found is None:
        raise CommandError(f"The tenant “{tenant.name}” has no member with the address {email!r}.")
    return found


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is not a moment: write it like 2027-06-30T18:00+02:00.") from error
    return moment if moment.tzinfo else timezone.make_aware(moment)


def _named(option: str, what: str, names: list[str]) -> list[str]:
    """An empty name, as from a variable that is not set, must not come to mean "every model"."""
    if any(not name.strip() for name in names):
        called = "tag" if "=" in what else what.lower()
        raise CommandError(f"{option} needs the name of a {called}: leave the option out to name none.")
    return names
