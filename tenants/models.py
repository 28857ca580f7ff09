"""Tenant, Project, ApiKey, Membership, Invitation and ServiceToken."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F
from django.db.models.functions import Lower
from django.utils import timezone

from access.models import new_handle
from tenants.permissions import Role
from tenants.policy import EXPIRES_SOON
from tenants.scope import TenantManager
from wire.ids import short_id


def new_tenant_id() -> str:
    """An id such as `t_4k2m9x0c1v7b`."""
    return short_id("t")


def new_project_id() -> str:
    """An id such as `p_4k2m9x0c1v7b`."""
    return short_id("p")


def new_invitation_id() -> str:
    """An id such as `i_4k2m9x0c1v7b`."""
    return short_id("i")


def new_batch_id() -> str:
    """An id such as `kb_4k2m9x0c1v7b`."""
    return short_id("kb")


class Tenant(models.Model):
    """An organisation, or a part of one, that is billed on its own."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"
        ARCHIVED = "archived"

    id = models.CharField(primary_key=True, max_length=32, default=new_tenant_id, editable=False)
    name = models.CharField(max_length=120, unique=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    status_reason = models.CharField(max_length=300, blank=True)  # why it is suspended or archived
    currency = models.CharField(max_length=3, default="USD")
    time_zone = models.CharField(max_length=64, default="UTC")  # an IANA name: the tenant's days and budget periods
    billing_day = models.PositiveSmallIntegerField(default=1)  # 1 to 28: the day of the month that a bill begins with
    tags = models.JSONField(default=dict, blank=True)
    keys_most = models.PositiveIntegerField(null=True, blank=True)  # quota of keys that are not revoked; None: no quota
    projects_most = models.PositiveIntegerField(null=True, blank=True)  # of projects that are not archived
    keys_living = models.PositiveIntegerField(default=0)  # keys not revoked, so that a quota needs no count of them all
    version = models.PositiveIntegerField(default=1)  # raised by each edit: of two at once, the second is told
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Project(models.Model):
    """A piece of work inside a tenant: what keys and spend are grouped by."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"
        ARCHIVED = "archived"

    id = models.CharField(primary_key=True, max_length=32, default=new_project_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=120)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    status_reason = models.CharField(max_length=300, blank=True)
    tags = models.JSONField(default=dict, blank=True)
    keys_most = models.PositiveIntegerField(null=True, blank=True)  # quota of keys that are not revoked
    keys_living = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)
    last_used_at = models.DateTimeField(null=True, blank=True)  # to the minute: the last call with one of its keys
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="project_name_once_per_tenant")]

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A key that programs call the gateway with. The key itself is shown once and kept nowhere."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        DISABLED = "disabled"
        REVOKED = "revoked"

    id = models.CharField(primary_key=True, max_length=32)  # the public id that stands in the key
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=120)
    env = models.CharField(max_length=16)
    hash = models.CharField(max_length=64, unique=True)
    pepper_version = models.PositiveSmallIntegerField()
    last_four = models.CharField(max_length=4, blank=True)  # "" for a key that was taken over by its hash
    taken_over = models.BooleanField(default=False)  # a key of another system, of which only the SHA-256 was given
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    not_before = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    allowed_models = models.JSONField(default=list, blank=True)
    denied_models = models.JSONField(default=list, blank=True)
    allowed_providers = models.JSONField(default=list, blank=True)
    denied_providers = models.JSONField(default=list, blank=True)
    networks = models.JSONField(default=list, blank=True)  # CIDR blocks that calls may come from; none: anywhere
    tier = models.CharField(max_length=16, blank=True)  # bulk, standard or frontier; "" as the caller asks
    rpm = models.PositiveIntegerField(default=0)  # requests a minute; 0: no limit
    tpm = models.PositiveBigIntegerField(default=0)  # tokens a minute
    concurrency = models.PositiveIntegerField(default=0)  # calls at the same time
    tags = models.JSONField(default=dict, blank=True)  # put on every usage event of the key
    version = models.PositiveIntegerField(default=1)  # raised by each edit: of two at once, the second is told
    last_used_at = models.DateTimeField(null=True, blank=True)  # to the minute
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=64)
    owner_id = models.CharField(max_length=32, blank=True)  # the user whose key it is; who sees its usage, too
    revoked_at = models.DateTimeField(null=True, blank=True)
    issue_token = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - absent ones are not alike
    replaced_by = models.CharField(max_length=32, blank=True)  # the id of the key that it was rotated into

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "issue_token"], name="key_once_per_issue_token")]
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="key_by_tenant"),
            models.Index(fields=["tenant", "project", "-created_at"], name="key_by_project"),
            models.Index(fields=["tenant", "owner_id", "-created_at", "-id"], name="key_by_owner"),
            models.Index(fields=["tenant", "expires_at", "id"], name="key_by_expiry_and_id"),
            models.Index(fields=["tenant", "last_used_at", "id"], name="key_by_last_use"),
            models.Index(F("tenant"), Lower("name"), F("id"), name="key_by_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def expired(self) -> bool:
        """Whether the moment until which the key works has passed."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def expires_soon(self) -> bool:
        """Whether the key still works, and will not two weeks from now."""
        return self.expires_at is not None and not self.expired and self.expires_at <= timezone.now() + EXPIRES_SOON

    @property
    def waiting(self) -> bool:
        """Whether the moment from which the key works is yet to come."""
        return self.not_before is not None and self.not_before > timezone.now()


class KeyBatch(models.Model):
    """One change of many keys. It is worked off in pieces, each with its audit events, and goes on where it stopped."""

    class Action(models.TextChoices):
        DISABLE = "disable"
        ENABLE = "enable"
        REVOKE = "revoke"
        EXPIRY = "expiry", "Set expiry"
        ADD_TAG = "add_tag", "Add a tag"
        REMOVE_TAG = "remove_tag", "Remove a tag"
        OWNER = "owner", "Change owner"

    id = models.CharField(primary_key=True, max_length=32, default=new_batch_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=16, choices=Action.choices)
    arguments = models.JSONField(default=dict)
    keys = models.JSONField()  # the ids of exactly those that were chosen
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)  # how many of them were looked at
    changed = models.PositiveIntegerField(default=0)
    skipped = models.JSONField(default=dict)  # why -> how many
    begun_by = models.JSONField()  # the actor of each change
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = TenantManager()

    class Meta:
        indexes = [models.Index(fields=["created_at"], condition=models.Q(finished_at=None), name="key_batch_open")]

    def __str__(self) -> str:
        return f"{self.get_action_display()} · {self.total} keys"


class Membership(models.Model):
    """A person's role in a tenant, or in the whole installation when `tenant` is empty."""

    Role = Role

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    role = models.CharField(max_length=32, choices=[(each.value, each.label) for each in Role])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "tenant", "role"], name="role_once_per_member"),
            models.UniqueConstraint(
                fields=["user", "role"], condition=models.Q(tenant=None), name="platform_role_once_per_member"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role}"


class Invitation(models.Model):
    """Somebody is asked to join a tenant in a role. Only the SHA-256 of the link's token is kept."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        ACCEPTED = "accepted", "Accepted"
        REVOKED = "revoked", "Revoked"
        EXPIRED = "expired", "Expired"

    class Mail(models.TextChoices):
        KEPT = "kept", "Kept here"  # no mail server is set up: whoever invited hands the link over
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Not sent"

    id = models.CharField(primary_key=True, max_length=32, default=new_invitation_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=32, choices=[(each.value, each.label) for each in Role])
    email = models.EmailField()  # in lower case, as people's addresses are
    token_sha256 = models.CharField(max_length=64, unique=True)
    handle = models.BinaryField(max_length=64, default=new_handle)  # a new person's, told to the authenticator at once
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    mail = models.CharField(max_length=16, choices=Mail.choices)
    mail_error = models.CharField(max_length=300, blank=True)

    objects = TenantManager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "-created_at"], name="invitation_by_tenant")]

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"

    @property
    def status(self) -> Status:
        """What has become of it."""
        if self.accepted_at is not None:
            return self.Status.ACCEPTED
        if self.revoked_at is not None:
            return self.Status.REVOKED
        return self.Status.EXPIRED if self.expires_at <= timezone.now() else self.Status.WAITING

    @property
    def role_label(self) -> str:
        """Such as "Finance viewer"."""
        return Role(self.role).label


class ServiceToken(models.Model):
    """What a program calls the API with. The token itself is shown once and kept nowhere."""

    id = models.CharField(primary_key=True, max_length=32)  # the public id that stands in the token
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="+")  # None: any tenant
    name = models.CharField(max_length=120)
    scopes = models.JSONField()  # permissions, in the policy's order
    confirmed_scopes = models.JSONField(default=list)  # the dangerous ones that a person confirmed with a passkey
    hash = models.CharField(max_length=64, unique=True)  # SHA-256
    last_four = models.CharField(max_length=4)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)  # to the minute
    revoked_at = models.DateTimeField(null=True, blank=True)
    issue_token = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - absent ones are not alike

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issue_token"], name="service_token_once_per_issue_token")]
        indexes = [models.Index(fields=["tenant", "-created_at", "-id"], name="service_token_by_tenant")]

    def __str__(self) -> str:
        return self.name

    @property
    def expired(self) -> bool:
        """Whether the moment until which the token works has passed."""
        return self.expires_at <= timezone.now()

    @property
    def status(self) -> str:
        """`revoked`, `expired` or `active`."""
        return "revoked" if self.revoked_at else "expired" if self.expired else "active"


class KeptAnswer(models.Model):
    """The answer to a create that named an Idempotency-Key, to be given again for a day instead of a second create.

    It is sealed under that very key, which is kept as its SHA-256 only: an answer may hold a secret.
    """

    holder = models.CharField(max_length=96)  # whose key it is: "service_token:…" or "user:…"
    key_sha256 = models.CharField(max_length=64)
    request_sha256 = models.CharField(max_length=64)  # method, address and body
    sealed = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["holder", "key_sha256"], name="answer_once_per_key")]

    def __str__(self) -> str:
        return self.holder
