"""Reads of API keys: found by what they are, in some order, a page at a time. None of it grows with the tenant.

A page begins after the last row of the one before it, and each order follows an index from there (`ApiKey.Meta`). A
search looks at the names that begin with the text first, by index; only a page that these do not fill is filled from
the tenant's other keys, newest first, which reads them all when few match: tens of milliseconds at 100,000 keys.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from django.conf import settings
from django.core import signing
from django.db import connection
from django.db.models import F, Q, QuerySet, Value
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Concat, Lower
from django.utils import timezone

from access.models import User
from tenants.models import ApiKey, Membership, Tenant
from tenants.policy import EXPIRES_SOON

UNUSED = timedelta(days=90)
COUNTED_MOST = 10_000
_OWNERS_MOST = 50
_LAST = "\U0010ffff"  # sorts behind whatever may follow a prefix


class KeyState(StrEnum):
    """What a list of keys may be narrowed to: the stored states, and what follows from moments."""

    ACTIVE = "active"  # works, as far as it lies with the key
    EXPIRING = "expiring"
    EXPIRED = "expired"
    DISABLED = "disabled"
    REVOKED = "revoked"
    NEVER_USED = "never_used"
    UNUSED = "unused"
    ROTATION_DUE = "rotation_due"


class KeyOrder(StrEnum):
    """How a list of keys is ordered."""

    NEWEST = "newest"
    NAME = "name"
    USED = "used"  # the last used first, the never used last
    EXPIRY = "expiry"  # the next to expire first, those without expiry last


class KeyFilter(NamedTuple):
    """What a list of keys is narrowed to.

    `text` is part of a name, the start of an id, the last four, part of an owner's name or address, a tag's name, or a
    tag with its value, like team=search. `owner` is a user's id, `status` one of `KeyState`.
    """

    text: str = ""
    status: str = ""
    env: str = ""
    project: str = ""
    owner: str = ""
    tier: str = ""


class KeyPage(NamedTuple):
    """Some keys, and the cursor of what follows; "" on the last page."""

    keys: list[ApiKey]
    next: str


def find_keys(tenant: Tenant, narrowed: KeyFilter) -> QuerySet[ApiKey]:
    """A tenant's keys, the newest first, each with its project."""
    keys = _narrowed(tenant, narrowed)
    if narrowed.text.strip():
        keys = keys.filter(_is_named_like(narrowed.text) | _is_like(tenant, narrowed.text))
    return keys.order_by("-created_at", "-id")


def page_of_keys(tenant: Tenant, narrowed: KeyFilter, *, order: str = "", after: str = "", most: int = 50) -> KeyPage:
    """One page of a tenant's keys. Without an order: the newest first; of a search, names that begin so first.

    `after` is the cursor that the page before ended with; one that cannot be read begins anew.
    """
    by_text = narrowed.text.strip() and order not in tuple(KeyOrder)
    slices = _of_search(tenant, narrowed) if by_text else _of_order(find_keys(tenant, narrowed), order)
    begin = _read(after, len(slices))
    found: list[tuple[int, ApiKey]] = []
    for number, each in enumerate(slices):
        wanted = most + 1 - len(found)
        if number < begin.slice or not wanted:
            continue
        rows = each.after(begin.value, begin.id) if number == begin.slice and begin.id else each.rows()
        found += [(number, key) for key in rows[:wanted]]
    shown = found[:most]
    more = _written(*shown[-1], slices) if len(found) > most else ""
    return KeyPage([key for _, key in shown], more)


def count_keys(keys: QuerySet[ApiKey], *, most: int = COUNTED_MOST) -> int:
    """How many there are, counted no further than one beyond `most`."""
    return keys.order_by().values("pk")[: most + 1].count()


def expiring_soon(tenant: Tenant, *, owner: str = "") -> int:
    """How many keys that work now expire within 14 days; counted no further than one beyond 10,000."""
    return count_keys(_narrowed(tenant, KeyFilter(status=KeyState.EXPIRING, owner=owner)))


def _narrowed(tenant: Tenant, narrowed: KeyFilter) -> QuerySet[ApiKey]:
    keys: QuerySet[ApiKey] = ApiKey.objects.filter(tenant=tenant).select_related("project")
    if narrowed.status:
        keys = keys.filter(_is_in(narrowed.status, timezone.now()))
    named = {"env": narrowed.env, "project": narrowed.project, "owner_id": narrowed.owner, "tier": narrowed.tier}
    return keys.filter(**{name: value for name, value in named.items() if value})


def _is_in(state: str, now: datetime) -> Q:
    unexpired = Q(expires_at=None) | Q(expires_at__gt=now)
    active = Q(status=ApiKey.Status.ACTIVE)
    living = ~Q(status=ApiKey.Status.REVOKED)
    return {
        KeyState.ACTIVE: active & unexpired,
        KeyState.EXPIRING: active & Q(expires_at__gt=now, expires_at__lte=now + EXPIRES_SOON),
        KeyState.EXPIRED: living & Q(expires_at__lte=now),
        KeyState.DISABLED: Q(status=ApiKey.Status.DISABLED),
        KeyState.REVOKED: Q(status=ApiKey.Status.REVOKED),
        KeyState.NEVER_USED: living & Q(last_used_at=None),
        KeyState.UNUSED: living
        & (Q(last_used_at__lt=now - UNUSED) | Q(last_used_at=None, created_at__lt=now - UNUSED)),
        KeyState.ROTATION_DUE: living & ~Q(pepper_version=settings.SPENDOPS.pepper_version),
    }[KeyState(state)]


def _is_named_like(text: str) -> Q:
    return Q(name__icontains=text.strip())


def _is_like(tenant: Tenant, text: str) -> Q:
    """Whether anything but the name fits a search."""
    text = text.strip()
    name, equals, value = text.partition("=")
    if equals:
        tag = KeyTransform(name.strip(), "tags")
        return Q(pk__in=ApiKey.objects.filter(tenant=tenant).annotate(tag=tag).filter(tag=value.strip()).values("pk"))
    members = User.objects.filter(pk__in=Membership.objects.filter(tenant=tenant).values("user_id"))
    owners = members.filter(Q(name__icontains=text) | Q(email__icontains=text)).values_list("pk", flat=True)
    found = Q(id__startswith=text) | Q(last_four=text) | Q(tags__has_key=text)
    named = list(owners[:_OWNERS_MOST])
    return found | Q(owner_id__in=named) if named else found


# -- pages: an order is one slice of rows after another, each along an index


class _Slice(NamedTuple):
    """Rows by one value, then by id. `value` is None where all have the same."""

    keys: QuerySet[ApiKey]
    value: Any = None
    descending: bool = True

    def rows(self) -> QuerySet[ApiKey]:
        sign = "-" if self.descending else ""
        if self.value is None:
            return self.keys.order_by(f"{sign}id")
        return self.keys.annotate(sorted_by=self.value).order_by(f"{sign}sorted_by", f"{sign}id")

    def after(self, value: Any, pk: str) -> QuerySet[ApiKey]:
        beyond = "lt" if self.descending else "gt"
        if self.value is None:
            return self.rows().filter(**{f"id__{beyond}": pk})
        behind = Q(**{f"sorted_by__{beyond}": value}) | Q(sorted_by=value, **{f"id__{beyond}": pk})
        # said twice, since the first part alone lets the database begin there in the index
        return self.rows().filter(Q(**{f"sorted_by__{beyond}e": value}) & behind)


def _of_order(keys: QuerySet[ApiKey], order: str) -> list[_Slice]:
    if order == KeyOrder.NAME:
        return [_Slice(keys, Lower("name"), descending=False)]
    if order == KeyOrder.USED:
        return [_Slice(keys.exclude(last_used_at=None), F("last_used_at")), _Slice(keys.filter(last_used_at=None))]
    if order == KeyOrder.EXPIRY:
        expiring = _Slice(keys.exclude(expires_at=None), F("expires_at"), descending=False)
        return [expiring, _Slice(keys.filter(expires_at=None))]
    return [_Slice(keys, F("created_at"))]


def _of_search(tenant: Tenant, narrowed: KeyFilter) -> list[_Slice]:
    keys = _narrowed(tenant, narrowed).annotate(folded=Lower("name"))
    begins = _begins_with(narrowed.text.strip())
    others = keys.filter(_is_named_like(narrowed.text) | _is_like(tenant, narrowed.text)).exclude(begins)
    return [_Slice(keys.filter(begins), F("folded"), descending=False), _Slice(others, F("created_at"))]


def _begins_with(text: str) -> Q:
    """Names that begin with a text, in the form that the index on them serves."""
    if connection.vendor == "postgresql":
        return Q(folded__startswith=Lower(Value(text)))
    return Q(folded__gte=Lower(Value(text)), folded__lt=Lower(Concat(Value(text), Value(_LAST))))


class _Begin(NamedTuple):
    slice: int = 0
    value: Any = None
    id: str = ""


def _written(number: int, key: ApiKey, slices: list[_Slice]) -> str:
    value = None if slices[number].value is None else key.sorted_by  # type: ignore[attr-defined]
    moment = value.isoformat() if isinstance(value, datetime) else None
    return signing.dumps([number, moment or value, bool(moment), key.pk], salt="keys page")


def _read(cursor: str, slices: int) -> _Begin:
    try:
        number, value, is_moment, pk = signing.loads(cursor, salt="keys page")
    except (signing.BadSignature, ValueError, TypeError):
        return _Begin()
    if number >= slices:
        return _Begin()
    return _Begin(number, datetime.fromisoformat(value) if is_moment else value, pk)
