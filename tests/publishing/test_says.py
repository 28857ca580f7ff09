"""Documents in words: what they come down to, their fields, and what changed."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from publishing.says import Change, changes_between, fields_of, pretty, says
from publishing.subjects import shortened

KEY, TENANT = "key:" + "0f" * 32, "tenant:t_1"


def body(**fields: object) -> bytes:
    return msgspec.json.encode({"schema": 1, "rev": 1, "env": "dev"} | fields)


def test_a_document_comes_down_to_a_word():
    assert says(KEY, body(), deleted=False) == "active"
    assert says(KEY, body(status="revoked"), deleted=False) == "revoked"
    assert says(KEY, body(block={"reason": "project_suspended"}), deleted=False) == "blocked: project suspended"
    assert says(TENANT, body(), deleted=False) == "active"
    assert says(TENANT, body(suspended=True), deleted=False) == "suspended"
    assert says(KEY, None, deleted=True) == "deleted"
    assert says("pricing:version", body(version=3), deleted=False) == ""


def test_fields_read_as_people_say_them():
    found = dict(
        fields_of(
            KEY, body(key="AbC", expires=1_800_000_000_000, rpm=6000, tags={"team": "search"}, networks=["10.0.0.0/8"])
        )
    )
    assert found == {
        "Status": "active",
        "Environment": "dev",
        "Key id": "AbC",
        "Expires": "2027-01-15 08:00:00 UTC",
        "Requests a minute": "6,000",
        "Tag team": "search",
        "Networks": "10.0.0.0/8",
    }


def test_what_changed_leaves_out_what_did_not_and_the_rev():
    before, after = body(rev=1, rpm=5, tier="bulk"), body(rev=2, rpm=7, block={"reason": "x", "message": "No."})
    assert changes_between(KEY, before, after) == [
        Change("Requests a minute", "5", "7"),
        Change("Tier", "bulk", ""),
        Change("Block reason", "", "x"),
        Change("Block message", "", "No."),
    ]
    assert changes_between(KEY, before, body(rev=9, rpm=5, tier="bulk")) == []
    assert [change.after for change in changes_between(KEY, before, None)] == ["deleted"]
    assert [change.after for change in changes_between(KEY, None, before)] == ["written"]


def test_price_books_are_compared_model_by_model():
    def book(**models: int) -> bytes:
        return body(version=1, source="s", models={"openai": models})

    found = changes_between("pricing:blob", book(a=1, b=2), book(b=3, c=4))
    assert [(change.label, change.models) for change in found] == [
        ("Models gone", "openai/a"),
        ("Models added", "openai/c"),
        ("Prices changed", "openai/b"),
    ]
    many = {f"m{number:02d}": number for number in range(20)}
    (models, gone) = changes_between("pricing:blob", book(**many), book())
    assert (models.before, models.after) == ("20", "0")
    assert gone.models.endswith("openai/m11 and 8 more")


def test_a_hash_is_shortened_and_nothing_else():
    assert shortened(KEY) == "key:0f0f0f…0f0f0f"
    assert shortened(TENANT) == TENANT
    assert shortened("pricing:blob") == "pricing:blob"


@given(key=st.sampled_from([KEY, TENANT, "pricing:blob", "other"]), one=st.binary(), other=st.binary())
def test_no_bytes_are_too_strange(key, one, other):
    says(key, one, deleted=False)
    fields_of(key, one)
    changes_between(key, one, other)
    pretty(one)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["models", "block", "status", "a"]), inner)
    ),
    max_leaves=8,
)


@given(key=st.sampled_from([KEY, TENANT, "pricing:blob"]), one=_json, other=_json)
def test_no_json_is_too_strange(key, one, other):
    before, after = msgspec.json.encode(one), msgspec.json.encode(other)
    says(key, before, deleted=False)
    fields_of(key, before)
    changes_between(key, before, after)
