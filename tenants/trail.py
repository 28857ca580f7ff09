"""The audit trail's words for tenants, projects, keys, members and tokens."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from django.db import models

from changes.trail import Names, Noun, register
from tenants.models import ApiKey, Invitation, Project, ServiceToken, Tenant

_MOST = 200  # ids that a text may stand for


def _named(model: Any) -> tuple[Callable[[Collection[str]], Names], Callable[[str], Collection[str]]]:
    """How to name rows of a model by id, and to find ids by name."""

    def names(ids: Collection[str]) -> Names:
        return dict(model.objects.filter(pk__in=ids).values_list("pk", "name"))

    def find(text: str) -> Collection[str]:
        rows: models.QuerySet[Any] = model.objects.filter(name__icontains=text)
        return list(rows.values_list("pk", flat=True)[:_MOST])

    return names, find


def _invited(ids: Collection[str]) -> Names:
    return dict(Invitation.objects.filter(pk__in=ids).values_list("pk", "email"))


def _find_invited(text: str) -> Collection[str]:
    return list(Invitation.objects.filter(email__icontains=text).values_list("pk", flat=True)[:_MOST])


register(
    labels={
        "concurrency": "Calls at the same time",
        "expires_at": "Works until",
        "not_before": "Works from",
        "rpm": "Requests a minute",
        "tpm": "Tokens a minute",
    },
    words_of_zero=dict.fromkeys(("rpm", "tpm", "concurrency"), "no limit"),
    nouns={
        "tenant": Noun("Tenant", *_named(Tenant), fields=("tenant",)),
        "project": Noun("Project", *_named(Project), fields=("project",)),
        "api_key": Noun("API key", *_named(ApiKey), fields=("key", "replaces", "replaced_by")),
        "key_batch": Noun("Change of many keys"),
        "service_token": Noun("Service token", *_named(ServiceToken)),
        "invitation": Noun("Invitation", _invited, _find_invited),
        "membership": Noun("Membership"),
        "audit_trail": Noun("Audit trail"),
    },
    sentences={
        "api_key.changed": "{actor} changed the key {target}",
        "api_key.disabled": "{actor} disabled the key {target}",
        "api_key.enabled": "{actor} enabled the key {target} again",
        "api_key.issued": "{actor} issued the key {target} in {after[env]}",
        "api_key.revoked": "{actor} revoked the key {target}",
        "api_key.taken_over": "{actor} took over the key {target} in {after[env]}",
        "key_batch.begun": "{actor} changed {after[keys]} keys at once: {after[action]}",
        "leaks.checked": "{actor} looked for leaked keys in a text and found {after[found]}",
        "api_key.rotated": "{actor} rotated the key {target}, which works until {after[expires_at]}",
        "audit.exported": "{actor} exported the audit trail as {after[format]}",
        "invitation.accepted": "{after[email]} accepted the invitation as {after[role]}",
        "invitation.issued": "{actor} invited {after[email]} as {after[role]}",
        "invitation.mail_failed": "The mail with the invitation of {target} could not be sent",
        "invitation.mail_kept": "The mail with the invitation of {target} was not sent: there is no mail server",
        "invitation.mail_sent": "The mail with the invitation of {target} was sent",
        "invitation.revoked": "{actor} revoked the invitation of {target}",
        "membership.changed": "{actor} changed the role of {target} from {before[role]} to {after[role]}",
        "membership.revoked": "{actor} took the role {before[role]} away from {target}",
        "membership.granted": "{actor} gave {target} the role {after[role]}",
        "project.archived": "{actor} archived the project {target}: {after[reason]}",
        "project.brought_back": "{actor} brought the project {target} back",
        "project.changed": "{actor} changed the project {target}",
        "project.created": "{actor} created the project {target}",
        "project.resumed": "{actor} resumed the project {target}",
        "project.suspended": "{actor} suspended the project {target}: {after[reason]}",
        "project.renamed": "{actor} renamed the project {before[name]} to {after[name]}",
        "service_token.issued": "{actor} issued the service token {target}",
        "service_token.revoked": "{actor} revoked the service token {target}",
        "tenant.archived": "{actor} archived the tenant {target}: {after[reason]}",
        "tenant.brought_back": "{actor} brought the tenant {target} back",
        "tenant.quotas_changed": "{actor} changed the quotas of {target}",
        "tenant.resumed": "{actor} resumed the tenant {target}",
        "tenant.suspended": "{actor} suspended the tenant {target}: {after[reason]}",
        "tenant.changed": "{actor} changed the settings of {target}",
        "tenant.created": "{actor} created the tenant {target}",
    },
)
