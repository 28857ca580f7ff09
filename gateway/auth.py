"""Who is calling: the key from the headers, its policy from the mirror of KV."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.incoming import Incoming
from gateway.mirror import Mirror
from gateway.policies import Policies, PolicyUnreadable
from gateway.rules import Refusal, key_refusal, network_refusal, wrong_environment
from wire.documents import KeyPolicy, TenantState, key_document, tenant_document
from wire.events import Denied
from wire.keys import key_hash, parse_key

_UNCHECKED = "API keys cannot be checked at present. Try again shortly."


class Caller(NamedTuple):
    """A key that works, and the documents that say so."""

    policy: KeyPolicy
    tenant: TenantState | None
    revs: dict[str, int]  # of those documents, by KV key
    hashed: str  # the key's hash, under which its policy is found again
    address: str  # where it calls from


class Stranger(NamedTuple):
    """A key that does not work. `policy` is there when it is known all the same, `public_id` when its form is right."""

    refusal: Refusal
    policy: KeyPolicy | None = None
    revs: dict[str, int] = {}
    public_id: str = ""


class Authenticator:
    """Finds the policy of a key by its hash; it never holds or logs the key itself.

    A key stands in KV under the pepper that it was issued with, so each pepper is tried, the likeliest first.
    """

    def __init__(
        self, policies: Policies, mirror: Mirror, *, env: str, peppers: Iterable[bytes], behind_proxy: bool
    ) -> None:
        self._policies = policies
        self._mirror = mirror
        self._env = env
        self._peppers = tuple(peppers)
        self._behind_proxy = behind_proxy

    async def identify(self, request: Incoming, now: int) -> Caller | Stranger:
        """The caller of a request at a moment (Unix ms)."""
        key = request.key
        if not key:
            return Stranger(
                Refusal(
                    Denied.KEY_MISSING, "No API key was sent. Send it as 'Authorization: Bearer …' or 'x-api-key: …'."
                )
            )
        try:
            hashed = self._find(key)
            if hashed is None:
                # A key may be used the moment it was issued: ask KV once more before saying that there is none.
                await self._mirror.refresh()
                hashed = self._find(key)
        except PolicyUnreadable as error:
            return _unreadable(error)
        address = request.address(behind_proxy=self._behind_proxy)
        return (self._judged(hashed, now, address) if hashed else None) or self._unknown(key)

    def again(self, caller: Caller, now: int) -> Caller | Stranger:
        """The same caller by what is known at a later moment (Unix ms): a key may have been revoked in between."""
        found = self._judged(caller.hashed, now, caller.address)
        if found is not None:
            return found
        refusal = Refusal(Denied.KEY_UNKNOWN, "This API key is not known any more.")
        return Stranger(refusal, caller.policy, caller.revs)

    def _judged(self, hashed: str, now: int, address: str) -> Caller | Stranger | None:
        """The caller by the documents in memory; None when there is no such key."""
        try:
            policy = self._policies.key(hashed)
            if policy is None:
                return None
            tenant = self._policies.tenant(policy.tenant)
        except PolicyUnreadable as error:
            return _unreadable(error)
        revs = {key_document(hashed): policy.rev}
        if tenant is not None:
            revs[tenant_document(policy.tenant)] = tenant.rev
        refusal = key_refusal(policy, env=self._env, now=now) or network_refusal(policy, address)
        if refusal is None and self._mirror.expired:
            refusal = Refusal(Denied.POLICY_UNAVAILABLE, _UNCHECKED)
        if refusal is not None:
            return Stranger(refusal, policy, revs)
        return Caller(policy, tenant, revs, hashed, address)

    def _find(self, key: str) -> str | None:
        """The hash under which a key is known, by the first pepper that fits. Raises PolicyUnreadable."""
        for pepper in self._peppers:
            hashed = key_hash(key, pepper)
            if self._policies.key(hashed) is not None:
                return hashed
        return None

    def _unknown(self, key: str) -> Stranger:
        if self._mirror.stale:
            return Stranger(Refusal(Denied.POLICY_UNAVAILABLE, _UNCHECKED))
        parsed = parse_key(key)
        if parsed is None:
            return Stranger(
                Refusal(Denied.KEY_MALFORMED, "This is not a SpendOps API key: check that it was copied whole.")
            )
        if parsed.env != self._env:
            message = wrong_environment(parsed.env, self._env)
            return Stranger(Refusal(Denied.KEY_WRONG_ENVIRONMENT, message), public_id=parsed.public_id)
        return Stranger(Refusal(Denied.KEY_UNKNOWN, "This API key is not known."), public_id=parsed.public_id)


def _unreadable(error: PolicyUnreadable) -> Stranger:
    return Stranger(Refusal(Denied.POLICY_UNAVAILABLE, f"The policy of this API key cannot be used: {error}"))
