"""The audit trail's words for people, passkeys and sessions."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q

from access.models import Passkey, User
from changes.trail import Names, Noun, register


def _people(ids: Collection[str]) -> Names:
    return {user.pk: str(user) for user in User.objects.filter(pk__in=ids)}


def _find_people(text: str) -> Collection[str]:
    return list(
        User.objects.filter(Q(name__icontains=text) | Q(email__icontains=text)).values_list("pk", flat=True)[:50]
    )


def _passkeys(ids: Collection[str]) -> Names:
    numbers = [int(each) for each in ids if each.isdecimal()]
    return {str(number): name for number, name in Passkey.objects.filter(pk__in=numbers).values_list("pk", "name")}


register(
    nouns={
        "user": Noun("Person", _people, _find_people, fields=("user", "invited_by", "created_by", "owner")),
        "passkey": Noun("Passkey", _passkeys),
    },
    sentences={
        "enrolment_link.issued": "{actor} issued an enrolment link to {target}",
        "passkey.disabled": "The passkey {target} of {actor} was disabled",
        "passkey.enabled": "{actor} enabled the passkey {target} again",
        "passkey.enrolled": "{actor} enrolled the passkey {after[name]}",
        "passkey.removed": "{actor} removed the passkey {before[name]}",
        "passkey.renamed": "{actor} renamed the passkey {before[name]} to {after[name]}",
        "recovery_code.used": "{target} used a recovery code",
        "recovery_codes.issued": "{actor} made new recovery codes",
        "session.ended": "{actor} ended a session of {target}",
        "sessions.ended": "{actor} ended sessions of {target}: {after[sessions]}",
        "user.confirmed": "{actor} confirmed with the passkey {target}",
        "user.created": "{actor} added the person {target}",
        "user.email_changed": "{actor} changed the e-mail address of {target}",
        "user.signed_in": "{actor} signed in with the passkey {target}",
        "user.signed_out": "{actor} signed out",
    },
)
