"""People, their passkeys and sessions, the links that enrol a passkey, and ceremonies that are under way."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac
from django_otp.models import Device

from access.rules import browser_name
from wire.ids import short_id


def new_user_id() -> str:
    """An id such as `u_4k2m9x0c1v7b`."""
    return short_id("u")


def new_handle() -> bytes:
    """What authenticators keep to name the account: random, so it tells nothing of the person (WebAuthn, §14.6.1)."""
    return secrets.token_bytes(64)


def new_ceremony_id() -> str:
    """A random id of 128 bits."""
    return secrets.token_hex(16)


class User(AbstractBaseUser):  # type: ignore[django-manager-missing]  # django_otp has no types
    """A person. There are no passwords: a person signs in with a passkey or not at all."""

    password = None  # type: ignore[assignment]  # takes the inherited column away

    id = models.CharField(primary_key=True, max_length=32, default=new_user_id, editable=False)
    email = models.EmailField(unique=True)  # kept in lower case, see `access.rules.normal_email`
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    handle = models.BinaryField(max_length=64, unique=True, default=new_handle, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BaseUserManager()

    otp_device: Passkey | None  # set by django_otp's middleware: what this request's session is verified by
    is_verified: Callable[[], bool]

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="email_once_whatever_its_case")]

    def __str__(self) -> str:
        return self.name or self.email

    def set_password(self, raw_password: str | None) -> None:
        raise NotImplementedError("SpendOps has no passwords: enrol a passkey.")

    def set_unusable_password(self) -> None:
        """Nothing to do: there is no password to make unusable."""

    def check_password(self, raw_password: str | None) -> bool:
        return False

    def has_usable_password(self) -> bool:
        return False

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Ties sessions to the account as it is now; Django would take the password here."""
        handle = bytes(self.handle).hex()
        return salted_hmac("access.User.session", handle, secret=secret, algorithm="sha256").hexdigest()


class Passkey(Device):
    """A WebAuthn credential. A session is verified by one of these; while `confirmed` is false it opens nothing."""

    credential_id = models.BinaryField(max_length=1023)
    credential_sha256 = models.CharField(max_length=64, unique=True)
    public_key = models.BinaryField()
    sign_count = models.PositiveBigIntegerField(default=0)
    aaguid = models.CharField(max_length=36)
    backup_eligible = models.BooleanField(default=False)  # may be synced to a person's other devices
    backed_up = models.BooleanField(default=False)
    transports = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.name

    def verify_token(self, token: str) -> bool:
        """A passkey never answers to a typed code."""
        return False


class EnrolmentLink(models.Model):
    """A one-time link that enrols a passkey. Only its token's SHA-256 is kept."""

    class Purpose(models.TextChoices):
        FIRST_ADMIN = "first_admin"
        RECOVERY = "recovery"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="enrolment_links")
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    token_sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.purpose} for {self.user_id}"


class RecoveryCode(models.Model):
    """A code for the day when every passkey is lost: it opens an enrolment link, once. Only its SHA-256 is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes")
    code_sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"recovery code {self.pk} of {self.user_id}"


class Bucket(models.Model):
    """A token bucket of `access.limits`, told by the moment at which it will be full again."""

    key = models.CharField(primary_key=True, max_length=64)
    full_at = models.BigIntegerField(db_index=True)  # Unix time in microseconds

    def __str__(self) -> str:
        return self.key


class Session(AbstractBaseSession):
    """A browser's session. The key is the SHA-256 of what the cookie holds, so a stolen table opens nothing."""

    session_key = models.CharField(primary_key=True, max_length=64)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="sessions")
    created_at = models.DateTimeField(null=True)  # when the person signed in
    seen_at = models.DateTimeField(null=True)
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=200, blank=True)  # the browser, as it names itself

    @property
    def browser(self) -> str:
        """Such as "Firefox on Linux"."""
        return browser_name(self.agent)

    @classmethod
    def get_session_store_class(cls) -> Any:
        from access.session_engine import SessionStore  # the engine imports this module

        return SessionStore


class Ceremony(models.Model):
    """A WebAuthn ceremony under way: its challenge, and what it may be used for. Used once, then deleted."""

    class Purpose(models.TextChoices):
        SIGN_IN = "sign_in"
        ENROL = "enrol"
        ADD_PASSKEY = "add_passkey"
        STEP_UP = "step_up"
        JOIN = "join"  # a new person's first passkey, made while accepting an invitation

    id = models.CharField(primary_key=True, max_length=32, default=new_ceremony_id)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    challenge = models.BinaryField(max_length=64)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    action = models.CharField(max_length=64, blank=True)  # SHA-256 of the request that a step-up is bound to
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.purpose


class Confirmation(models.Model):
    """A person's passkey confirmed one particular request, which has not come yet. Used once, then deleted."""

    id = models.CharField(primary_key=True, max_length=32, default=new_ceremony_id)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    action = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.action
