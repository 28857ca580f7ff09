"""API keys: their form, their checksum, and the one hash of ours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.ids import BASE62, TENANT_ID, event_id, event_id_ms, short_id
from wire.keys import PATTERN, key_hash, new_key, parse_key


def test_a_new_key_has_the_documented_form():
    key = new_key("dev")
    match = PATTERN.fullmatch(key.text)
    assert match is not None
    assert (match["env"], match["id"]) == ("dev", key.public_id)
    assert len(key.text) == len("so_dev_") + 12 + 1 + 43 + 6
    assert key.text.endswith(key.last_four)
    parsed = parse_key(key.text)
    assert (parsed.env, parsed.public_id) == ("dev", key.public_id)


def test_keys_never_repeat():
    assert len({new_key("prod").text for _ in range(500)}) == 500


@settings(deadline=None)
@given(st.integers(0, 67), st.sampled_from(BASE62))
def test_one_wrong_character_is_noticed(at, character):
    text = new_key("dev").text
    changed = text[:at] + character + text[at + 1 :]
    assert (parse_key(changed) is None) == (changed != text)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_other_text_is_no_key(text):
    assert parse_key(text) is None


def test_the_hash_depends_on_the_pepper():
    assert key_hash("k", b"one") != key_hash("k", b"another")


def test_ids():
    assert TENANT_ID.match(short_id("t"))
    first, second = event_id(), event_id()
    assert first < second  # made later, sorts later
    assert 0 <= event_id_ms(second) - event_id_ms(first) < 1000
    with pytest.raises(ValueError, match="version 7"):
        event_id_ms("6ba7b810-9dad-41d1-80b4-00c04fd430c8")
