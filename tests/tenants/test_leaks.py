"""A text is looked through for keys of the tenant: the right ones are found, and the text is kept nowhere."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from hashlib import sha256

import pytest

from changes.models import AuditEvent
from tenants.actions.keys import revoke_key
from tenants.actions.leaks import find_leaks, revoke_leaked
from tenants.errors import InvalidSettingError
from tenants.leaks import TEXT_MOST, WORDS_MOST, words_of
from tenants.models import ApiKey, Tenant
from tenants.scope import tenant_scope
from tests.tenants.making import SOMEBODY, issue, make_tenant
from tests.tenants.test_takeover import take
from wire.ids import BASE62
from wire.keys import checksum, new_key

pytestmark = pytest.mark.django_db

FOREIGN = "sk-Gm1Yx0pZ3v9Qb2Lw8Rk4Tn"


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant("Acme")


def find(tenant: Tenant, text: str) -> list[tuple[str, list[int]]]:
    return [(each.key.name, each.lines) for each in find_leaks(tenant=tenant, text=text, by=SOMEBODY).found]


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "export API_KEY={}",
        'api_key: "{}",',
        "Authorization: Bearer {}",
        "https://gateway.example.com/v1?key={}&x=1",
        "see {}.",
        "old{}new",
        "`{}`",
        "'{}\\n'",
    ],
)
def test_a_key_of_ours_is_found_wherever_it_stands(tenant, line):
    text = issue(tenant, "Bot").text
    assert find(tenant, "first\n\n" + line.format(text)) == [("Bot", [3])]


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "LITELLM_KEY={}",
        '{{"key": "{}"}}',
        "key:{}",
        "Authorization: Bearer {}",
        "see {}.",
        "({})",
        "a,{},b",
        "curl -H 'x-api-key: {}' https://example.com",
    ],
)
@pytest.mark.parametrize("key", [FOREIGN, "A+very/old+key/of/another+system==", "0123456789abcdef0123456789abcdef"])
def test_a_key_that_was_taken_over_is_found_by_the_hash_of_every_word(tenant, key, line):
    take(tenant, f"name,sha256\nOld bot,{sha256(key.encode()).hexdigest()}\n")
    assert find(tenant, "nothing here\n" + line.format(key)) == [("Old bot", [2])]


def test_every_line_is_said_once_and_several_keys_are_found(tenant):
    first, second = issue(tenant, "A bot").text, issue(tenant, "B bot", env="prod").text
    text = f"{first} {first}\nnothing\n{second} {first}"
    assert find(tenant, text) == [("A bot", [1, 3]), ("B bot", [3])]


def test_a_forged_key_with_a_known_id_makes_nobody_revoke_it(tenant):
    text = issue(tenant, "Bot").text
    body = text[:-10] + BASE62[::-1][:4]
    forged = body + checksum(body)
    found = find_leaks(tenant=tenant, text=forged, by=SOMEBODY)
    assert (found.found, found.strangers) == ([], 1)


def test_keys_of_others_are_only_counted(tenant):
    theirs = issue(make_tenant("Other"), "Their bot").text
    unknown = new_key("dev").text
    found = find_leaks(tenant=tenant, text=f"{theirs}\n{unknown}\n{unknown}\nso_dev_mistyped", by=SOMEBODY)
    assert (found.found, found.strangers, found.lines) == ([], 2, 4)


def test_a_key_of_an_old_pepper_is_found(tenant, settings):
    text = issue(tenant, "Old one").text
    settings.SPENDOPS = replace(settings.SPENDOPS, peppers=settings.SPENDOPS.peppers | {2: b"a newer pepper" * 4})
    new = issue(tenant, "New one").text
    assert find(tenant, f"{text}\n{new}") == [("New one", [2]), ("Old one", [1])]


def test_the_trail_has_ids_only(tenant):
    issued = issue(tenant, "Bot")
    find(tenant, f"a secret sentence\n{issued.text}")
    event = AuditEvent.objects.latest("id")
    assert (event.kind, event.after) == ("leaks.checked", {"found": 1, "keys": [issued.key.id]})
    assert "sentence" not in json.dumps([event.before, event.after])


def test_all_found_are_revoked_in_one_step(tenant):
    keys = [issue(tenant, f"Bot {number}").key for number in range(3)]
    revoke_key(key=keys[0], by=SOMEBODY)
    revoked = revoke_leaked(tenant=tenant, key_ids=[key.id for key in keys], by=SOMEBODY)
    assert {key.id for key in revoked} == {keys[1].id, keys[2].id}
    with tenant_scope(tenant.id):
        assert set(ApiKey.objects.values_list("status", flat=True)) == {"revoked"}
    assert Tenant.objects.get(pk=tenant.pk).keys_living == 0


def test_another_tenants_keys_are_never_revoked(tenant):
    theirs = issue(make_tenant("Other"), "Their bot").key
    assert revoke_leaked(tenant=tenant, key_ids=[theirs.id], by=SOMEBODY) == []
    with tenant_scope(theirs.tenant_id):
        assert ApiKey.objects.get().status == "active"


@pytest.mark.parametrize("text", ["", "  \n ", "x" * (TEXT_MOST + 1)])
def test_a_text_that_cannot_be_looked_through_is_refused(tenant, text):
    with pytest.raises(InvalidSettingError) as refused:
        find(tenant, text)
    assert refused.value.field == "text"


def test_a_whole_mebibyte_is_looked_through_in_moments(tenant):
    take(tenant, f"name,sha256\nOld bot,{sha256(FOREIGN.encode()).hexdigest()}\n")
    ours = issue(tenant, "Bot").text
    filler = "".join(f"word{number:08d} " for number in range(TEXT_MOST))[: TEXT_MOST - 200]
    text = f"{FOREIGN}\n{filler}\n{ours}"
    began = time.perf_counter()
    found = find_leaks(tenant=tenant, text=text, by=SOMEBODY)
    assert time.perf_counter() - began < 5
    assert [each.key.name for each in found.found] == ["Bot", "Old bot"]  # ours also behind the last word looked at
    assert found.cut


def test_the_number_of_words_is_bounded_and_odd_texts_take_no_longer():
    words = words_of(" ".join(f"w{number:09d}" for number in range(WORDS_MOST + 10)))
    assert (len(words.others), words.cut) == (WORDS_MOST, True)
    for odd in ("a" * TEXT_MOST, "so_dev_" * (TEXT_MOST // 7), "-." * (TEXT_MOST // 2), "=" * TEXT_MOST):
        began = time.perf_counter()
        words_of(odd)
        assert time.perf_counter() - began < 3, odd[:10]
