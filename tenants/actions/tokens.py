"""The life of service tokens: issued, used, revoked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from tenants.actions.standing import hold_open
from tenants.errors import AlreadyIssuedError
from tenants.models import ServiceToken, Tenant
from tenants.permissions import Permission
from tenants.rules import clean_name
from tenants.scope import across_tenants
from tenants.tokens import DANGEROUS, clean_scopes, clean_token_expiry, new_token, token_digest

USED_EVERY = timedelta(minutes=1)  # the last use is written at most so often


@dataclass(frozen=True)
class IssuedToken:
    """A token just issued. `text` is the token itself: show it once, store it nowhere."""

    token: ServiceToken
    text: str = field(repr=False)


def issue_token(
    *,
    tenant: Tenant | None,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime,
    grantable: Iterable[Permission],
    confirmed: bool,
    latest: datetime | None = None,
    intention: str = "",
    by: Actor,
) -> IssuedToken:
    """Issue a token for a tenant, or with None for every tenant. Raises RefusedError.

    `grantable` is what the issuer may do. `confirmed` says that a person has just confirmed with a passkey: without it
    the token cannot do what is dangerous, whatever its scopes. `latest` is when the issuer itself ends, if it does.
    The same `intention` again raises AlreadyIssuedError, so that a form sent twice makes one token.
    """
    made = new_token()
    granted = clean_scopes(scopes, grantable=grantable)
    token = ServiceToken(
        id=made.public_id,
        tenant=tenant,
        name=clean_name(name, what="token"),
        scopes=granted,
        confirmed_scopes=[each for each in granted if confirmed and each in DANGEROUS],
        hash=token_digest(made.text),
        last_four=made.last_four,
        created_by=by.id,
        expires_at=clean_token_expiry(expires_at, now=timezone.now(), latest=latest),
        issue_token=intention or None,
    )
    with transaction.atomic():
        if tenant is not None:
            hold_open(tenant.id)
        _insert(token)
        _record("service_token.issued", token, by=by, after=_described(token))
    return IssuedToken(token, made.text)


def _insert(token: ServiceToken) -> None:
    try:
        with transaction.atomic():
            token.save(force_insert=True)
    except IntegrityError as error:
        with across_tenants("an intention names one token, whoever's it is"):
            known = ServiceToken.objects.filter(issue_token=token.issue_token, tenant=token.tenant_id).first()
        if token.issue_token is None or known is None:
            raise
        raise AlreadyIssuedError(
            f"“{known.name}” was issued already, and a token is shown only once. If it was not copied, revoke it and "
            "issue another one.",
            key_id=known.id,
        ) from error


def revoke_token(*, token: ServiceToken, by: Actor) -> ServiceToken:
    """End a token for ever. Revoking it again changes nothing."""
    with transaction.atomic(), across_tenants("a token of every tenant has none of its own"):
        token = ServiceToken.objects.select_for_update().get(pk=token.pk)
        if token.revoked_at is not None:
            return token
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        _record("service_token.revoked", token, by=by, after={"revoked_at": token.revoked_at.isoformat()})
    return token


def note_use(*, token: ServiceToken) -> None:
    """Write down that a token was just used, unless that stands there already, to the minute."""
    now = timezone.now()
    if token.last_used_at is not None and now - token.last_used_at < USED_EVERY:
        return
    with across_tenants("a token of every tenant has none of its own"):
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_EVERY)
        ServiceToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)


def _described(token: ServiceToken) -> dict[str, Any]:
    """What the audit trail keeps of a token: nothing that could be used to call with it."""
    return {
        "name": token.name,
        "scopes": token.scopes,
        "confirmed_scopes": token.confirmed_scopes,
        "last_four": token.last_four,
        "expires_at": token.expires_at.isoformat(),
    }


def _record(kind: str, token: ServiceToken, *, by: Actor, after: dict[str, Any]) -> None:
    record(kind, by=by, tenant=token.tenant_id or "", target_kind="service_token", target_id=token.id, after=after)
