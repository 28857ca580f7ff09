"""API keys: their form, their checksum, and the one hash of ours."""

from __future__ import annotations

import time
import uuid

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
    before = time.time_ns() // 1_000_000
    assert before <= event_id_ms(event_id()) <= time.time_ns() // 1_000_000
    with pytest.raises(ValueError, match="version 7"):
        event_id_ms("6ba7b810-9dad-41d1-80b4-00c04fd430c8")


def test_event_ids_are_random_uuids_of_version_7():
    made = [uuid.UUID(event_id()) for _ in range(2000)]
    assert {(each.version, each.variant) for each in made} == {(7, uuid.RFC_4122)}
    assert len({each.int & (2**62 - 1) for each in made}) == 2000
    seen = 0
    for each in made:
        seen |= each.int ^ made[0].int
    assert seen & (0xFFF << 64 | 2**62 - 1) == 0xFFF << 64 | 2**62 - 1  # every one of the 74 bits varies


def test_an_event_id_follows_the_clock_back(monkeypatch):
    later = event_id()
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_000_000)
    stepped = event_id()
    assert event_id_ms(stepped) == 1_700_000_000_123
    assert stepped < later
