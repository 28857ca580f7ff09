"""C11: peppers follow each other: old keys stay valid, new ones take the newest, and one goes when no key needs it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from publishing.render import render
from tenants.actions.keys import revoke_key, rotate_key
from tenants.models import ApiKey
from tenants.scope import across_tenants, tenant_scope
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import key_document
from wire.keys import key_hash

pytestmark = pytest.mark.django_db

SECOND, THIRD = b"a second pepper" * 4, b"a third pepper" * 4


def give(settings, peppers: dict[int, bytes]) -> None:
    settings.SPENDOPS = replace(settings.SPENDOPS, peppers=peppers)


def listed() -> list[dict]:
    out = StringIO()
    call_command("list_peppers", "--json", stdout=out)
    return json.loads(out.getvalue())


def faults() -> list[str]:
    return [str(each.msg) for each in run_checks(databases=["default"]) if each.id == "tenants.W001"]


def documents(key: ApiKey) -> set[str]:
    with across_tenants("the publisher works for all tenants"):
        return {each.key for each in render("key", [key.id], environments=["dev", "prod"])[key.id]}


def test_c11_a_rotation_of_the_pepper_from_beginning_to_end(settings):
    first_pepper = settings.SPENDOPS.pepper
    tenant = make_tenant("Acme")
    old = issue(tenant, "old")
    give(settings, {1: first_pepper, 2: SECOND})
    new = issue(tenant, "new")
    assert (old.key.pepper_version, new.key.pepper_version) == (1, 2)
    # each stands in KV under its own pepper, so that gateways that know both find both
    assert documents(old.key) == {key_document(key_hash(old.text, first_pepper))}
    assert documents(new.key) == {key_document(key_hash(new.text, SECOND))}
    assert [(each["version"], each["keys"], each["newest"], each["may_go"]) for each in listed()] == [
        (1, 1, False, False),
        (2, 1, True, False),
    ]
    rotated = rotate_key(key=old.key, grace=timedelta(hours=1), by=SOMEBODY)
    assert rotated.key.pepper_version == 2
    assert not listed()[0]["may_go"]  # the old one works until it is revoked
    revoke_key(key=old.key, by=SOMEBODY)
    assert listed()[0]["may_go"]
    give(settings, {2: SECOND})
    assert [each["version"] for each in listed()] == [2]
    assert faults() == []


def test_c11_a_pepper_that_keys_need_is_missed(settings):
    key = issue(make_tenant("Acme"), "old").key
    with tenant_scope(key.tenant_id):
        ApiKey.objects.update(taken_over=True)
    give(settings, {2: SECOND, 3: THIRD})
    with pytest.raises(CommandError) as refused:
        listed()
    assert "pepper 1: 1 living keys (1 taken over), last used never: MISSING" in str(refused.value)
    assert "Give SPENDOPS_KEY_PEPPER back." in str(refused.value)
    (said,) = faults()
    assert "1 living keys are hashed under pepper 1, which is not given" in said
    revoke_key(key=key, by=SOMEBODY)
    assert faults() == []
    out = StringIO()
    call_command("list_peppers", stdout=out)
    assert out.getvalue().splitlines() == [
        "pepper 2: 0 living keys, last used never: may be taken away",
        "pepper 3: 0 living keys, last used never: new keys are hashed under it",
    ]


def test_checks_need_no_database_unless_asked(django_assert_num_queries):
    with django_assert_num_queries(0):
        run_checks()
