"""The WebAuthn protocol: what is asked of an authenticator, and what of its answer is believed. Writes nothing.

User verification is required throughout, and no answer from inside another site's frame is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

RP_NAME = "SpendOps"
_TRANSPORTS = {each.value for each in AuthenticatorTransport}


class CeremonyRefusedError(Exception):
    """A ceremony's answer was not believed. The reason is for the log: the public answer never tells which it was."""


@dataclass(frozen=True)
class Asked:
    """What is sent to the browser, and the challenge that its answer must contain."""

    options: dict[str, Any]
    challenge: bytes


@dataclass(frozen=True)
class NewCredential:
    """A credential that an authenticator has just made."""

    id: bytes
    public_key: bytes
    sign_count: int
    aaguid: str
    backup_eligible: bool
    backed_up: bool
    transports: list[str]


@dataclass(frozen=True)
class Assertion:
    """An answer whose signature is good. `sign_count` is yet to be compared with the last one."""

    sign_count: int
    backed_up: bool


def ask_registration(*, handle: bytes, email: str, name: str, known: Iterable[tuple[bytes, list[str]]] = ()) -> Asked:
    """Ask for a new passkey that signs in without a user name. `known`: the person's credentials, not made twice."""
    options = generate_registration_options(
        rp_id=settings.WEBAUTHN_RP_ID,
        rp_name=RP_NAME,
        user_id=handle,
        user_name=email,
        user_display_name=name or email,
        timeout=settings.CEREMONY_SECONDS * 1000,
        attestation=AttestationConveyancePreference.NONE,
        exclude_credentials=_descriptors(known),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
    )
    return Asked(json.loads(options_to_json(options)), options.challenge)


def ask_assertion(*, known: Iterable[tuple[bytes, list[str]]] = ()) -> Asked:
    """Ask for a signature: by one of `known`, or by whichever passkey of this site the person picks."""
    options = generate_authentication_options(
        rp_id=settings.WEBAUTHN_RP_ID,
        timeout=settings.CEREMONY_SECONDS * 1000,
        allow_credentials=_descriptors(known),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return Asked(json.loads(options_to_json(options)), options.challenge)


def verify_registration(credential: Any, *, challenge: bytes) -> NewCredential:
    """Check a new credential. Raises CeremonyRefusedError."""
    try:
        _refuse_frames(credential)
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=settings.WEBAUTHN_RP_ID,
            expected_origin=settings.WEBAUTHN_ORIGIN,
            require_user_verification=True,
        )
        transports = credential["response"].get("transports") or []
        return NewCredential(
            id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            aaguid=verified.aaguid,
            backup_eligible=verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
            backed_up=verified.credential_backed_up,
            transports=sorted(_TRANSPORTS.intersection(transports)),
        )
    except Exception as error:  # the client chose every byte: whatever parsing raises is a refusal, never a crash
        raise CeremonyRefusedError(f"{type(error).__name__}: {error}") from error


def credential_id(credential: Any) -> bytes:
    """The id of the credential that an answer claims to come from. Raises CeremonyRefusedError."""
    try:
        return base64url_to_bytes(credential["rawId"])
    except Exception as error:  # as above
        raise CeremonyRefusedError("The answer names no credential.") from error


def verify_assertion(credential: Any, *, challenge: bytes, public_key: bytes, handle: bytes) -> Assertion:
    """Check a signature and whose account it is for. Raises CeremonyRefusedError.

    The signature counter is not compared here: the library would do so before it checks the signature, and then
    anybody who knows a credential's id could make a counter look wrong.
    """
    try:
        _refuse_frames(credential)
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=settings.WEBAUTHN_RP_ID,
            expected_origin=settings.WEBAUTHN_ORIGIN,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
        claimed = credential["response"].get("userHandle")
        if claimed and base64url_to_bytes(claimed) != handle:
            raise ValueError("The user handle is another account's.")
        return Assertion(sign_count=verified.new_sign_count, backed_up=verified.credential_backed_up)
    except Exception as error:  # as above
        raise CeremonyRefusedError(f"{type(error).__name__}: {error}") from error


def counter_went_back(*, stored: int, presented: int) -> bool:
    """Whether the counter shows a copied key (WebAuthn §6.1.1). Authenticators without a counter always say 0."""
    return (stored > 0 or presented > 0) and presented <= stored


def _refuse_frames(credential: Mapping[str, Any]) -> None:
    """py_webauthn accepts answers that were made inside another site's frame; we have no such use."""
    client_data = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    if client_data.get("crossOrigin", False) is not False or client_data.get("topOrigin"):
        raise ValueError("The ceremony ran inside a frame of another site.")


def _descriptors(known: Iterable[tuple[bytes, list[str]]]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(id=each, transports=[AuthenticatorTransport(name) for name in transports])
        for each, transports in known
    ]
