"""Service tokens: their form, what they may be allowed, and for how long. Pure: no database, no request.

The form is `sot_<id12>_<secret43><crc6>`, base62, like that of API keys. The secret has 256 bits, so a plain SHA-256
of the token is what is kept: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from tenants.errors import InvalidSettingError
from tenants.permissions import Permission
from wire.keys import CHECKSUM_LENGTH, ID_LENGTH, SECRET_LENGTH, checksum, random_text

LONGEST_LIFE = timedelta(days=365)

PATTERN = re.compile(
    rf"sot_(?P<id>[0-9A-Za-z]{{{ID_LENGTH}}})_(?P<secret>[0-9A-Za-z]{{{SECRET_LENGTH}}})"
    rf"(?P<checksum>[0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)

# What concerns somebody's own keys means nothing for a program, which owns none.
SCOPES = tuple(each for each in Permission if not each.value.endswith("_own"))

# What a person must confirm with a passkey. A token may do it only when a person confirmed that very grant.
DANGEROUS = frozenset(
    {
        Permission.MONTHS_CLOSE,
        Permission.COST_CENTRES_CHANGE,
        Permission.KEYS_ISSUE,
        Permission.KEYS_CHANGE,
        Permission.KEYS_REVOKE,
        Permission.BUDGETS_CHANGE,
        Permission.PRICES_CHANGE,
        Permission.OVERRIDES_CHANGE,
        Permission.PUBLISHING_REPAIR,
        Permission.SPEND_IMPORT,
        Permission.MEMBERS_CHANGE,
        Permission.TOKENS_MANAGE,
        Permission.AUDIT_EXPORT,
        Permission.SETTINGS_CHANGE,
        Permission.TENANTS_CREATE,
        Permission.TENANTS_CHANGE,
        Permission.PROJECTS_SUSPEND,
    }
)


class NewToken(NamedTuple):
    """A token just made. `text` is shown once and kept nowhere."""

    text: str
    public_id: str
    last_four: str


def new_token() -> NewToken:
    """Make a token from 256 random bits."""
    public_id = random_text(ID_LENGTH)
    body = f"sot_{public_id}_{random_text(SECRET_LENGTH)}"
    text = body + checksum(body)
    return NewToken(text, public_id, text[-4:])


def parse_token(text: str) -> str | None:
    """The public id of a token whose form and checksum are right; None for anything else."""
    match = PATTERN.fullmatch(text)
    if match is None or not hmac.compare_digest(checksum(text[:-CHECKSUM_LENGTH]), match["checksum"]):
        return None
    return match["id"]


def token_digest(text: str) -> str:
    """What is kept of a token, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def clean_scopes(scopes: Iterable[str], *, grantable: Iterable[Permission]) -> list[str]:
    """The scopes of a new token, in the policy's order: at least one, and none that its issuer does not have."""
    wanted = set(scopes)
    if not wanted:
        raise InvalidSettingError("Choose at least one scope: a token without any could do nothing.", field="scopes")
    unknown = sorted(wanted - {each.value for each in SCOPES})
    if unknown:
        raise InvalidSettingError(
            f"There is no scope {unknown[0][:60]!r}: the scopes are {', '.join(SCOPES)}.", field="scopes"
        )
    beyond = sorted(wanted - {each.value for each in grantable})
    if beyond:
        raise InvalidSettingError(
            f"You cannot grant what you may not do yourself: {', '.join(beyond)}. Leave it out, or ask one who may.",
            field="scopes",
        )
    return [each.value for each in SCOPES if each.value in wanted]


def clean_token_expiry(expires_at: datetime, *, now: datetime, latest: datetime | None = None) -> datetime:
    """A moment in the future, at most a year ahead and not after `latest`."""
    if expires_at.tzinfo is None:
        raise InvalidSettingError("The expiry needs a time zone, like 2027-06-30T00:00:00Z.", field="expires_at")
    if expires_at <= now:
        raise InvalidSettingError("The expiry lies in the past: choose a later moment.", field="expires_at")
    if expires_at > now + LONGEST_LIFE:
        raise InvalidSettingError(
            f"A token lives at most a year: choose a moment before {now + LONGEST_LIFE:%Y-%m-%d}.", field="expires_at"
        )
    if latest is not None and expires_at > latest:
        raise InvalidSettingError(
            f"A token cannot issue one that outlives it: choose a moment before {latest:%Y-%m-%dT%H:%M:%SZ}.",
            field="expires_at",
        )
    return expires_at
